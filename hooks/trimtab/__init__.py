"""Training telemetry that notices a run going wrong, rolls it back, and adds up what it cost.

Importing it is cheap: what it offers is loaded when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from trimtab.version import __version__

if TYPE_CHECKING:
    from trimtab.budget import Budget
    from trimtab.signals import Signals
    from trimtab.start import watch
    from trimtab.step_result import StepResult
    from trimtab.watching import Watch

__all__ = ["Budget", "Signals", "StepResult", "Watch", "__version__", "watch"]

_HOMES: Final = {
    "Budget": "trimtab.budget",
    "Signals": "trimtab.signals",
    "StepResult": "trimtab.step_result",
    "Watch": "trimtab.watching",
    "watch": "trimtab.start",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'trimtab' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
