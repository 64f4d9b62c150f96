"""Callbacks that frameworks load by themselves: the entry points of the package, for `TRIMTAB_AUTO=1`.

Every Trainer of a framework calls them, watched or not: without that variable nothing is imported.
"""

from __future__ import annotations

import os
from typing import Any

from trimtab.environ import flag
from trimtab.job_settings import AUTO


def lightning() -> list[Any]:
    """Return those for a Trainer of `lightning`; entry point `lightning.pytorch.callbacks_factory`."""
    return _callbacks("lightning.pytorch")


def pytorch_lightning() -> list[Any]:
    """Return those for one of `pytorch_lightning`; entry point `pytorch_lightning.callbacks_factory`."""
    return _callbacks("pytorch_lightning")


def _callbacks(package: str) -> list[Any]:
    """Return one callback, which stands aside where the job gives its own; none without TRIMTAB_AUTO.

    Raises:
        ValueError: TRIMTAB_AUTO says neither yes nor no.
    """
    if not flag(os.environ, AUTO):
        return []
    from trimtab.integrations.lightning import callback_class

    callback = callback_class(package)()
    callback.automatic = True
    return [callback]
