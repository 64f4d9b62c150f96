"""Finds AMD SMI: the module `amdsmi`, installed or as ROCm brings it, and the driver below it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

DRIVER: Final = Path("/dev/kfd")
"""The device that AMD's compute driver makes."""
_NAME: Final = "amdsmi"


def is_here() -> bool:
    """Tell whether there is a driver of AMD's GPUs."""
    return DRIVER.exists()


def load() -> Any | None:
    """Import `amdsmi`, or take ROCm's own; None: there is no driver, or neither can be imported."""
    if not is_here():
        return None
    return _try(_installed) or _try(_of_rocm)


def _try(take: Callable[[], Any | None]) -> Any | None:
    try:
        return take()
    except (ImportError, OSError, AttributeError, KeyError):
        return None  # what it raises where its library is missing, or of another version


def _installed() -> Any:
    return importlib.import_module(_NAME)


def _of_rocm() -> Any | None:
    """Import the package at ROCm's path: it is of the library's version, and need not be installed."""
    folder = Path(os.environ.get("ROCM_PATH") or "/opt/rocm") / "share" / "amd_smi" / _NAME
    spec = importlib.util.spec_from_file_location(
        _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        return None
    module = sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[_NAME]
        raise
    return module
