"""Finds AMD SMI: the module `amdsmi`, installed or as ROCm brings it, and the driver and library below it."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

DRIVER: Final = Path("/dev/kfd")
"""The device that AMD's compute driver makes."""
_NAME: Final = "amdsmi"
_LIBRARY: Final = "libamd_smi.so"


def is_here() -> bool:
    """Tell whether there is a driver of AMD's GPUs."""
    return DRIVER.exists()


def load() -> Any | None:
    """Import `amdsmi`, or take ROCm's own; None: there is no driver, or neither can be imported."""
    return find(os.environ) if is_here() else None


def find(environ: Mapping[str, str], opens: Callable[[str], bool] | None = None) -> Any | None:
    """Import the module where its library can be opened: else it would write to the job's output."""
    rocm = Path(environ.get("ROCM_HOME") or environ.get("ROCM_PATH") or "/opt/rocm")
    if not any(map(opens or _opens, (_LIBRARY, str(rocm / "lib" / _LIBRARY)))):
        return None
    return _try(_installed) or _try(lambda: _of_rocm(rocm))


def _opens(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _try(take: Callable[[], Any | None]) -> Any | None:
    try:
        return take()
    except (ImportError, OSError, AttributeError, KeyError):
        return None  # what it raises where its library is of another version


def _installed() -> Any:
    return importlib.import_module(_NAME)


def _of_rocm(rocm: Path) -> Any | None:
    """Import the package that ROCm brings: it is of the library's version, and need not be installed."""
    folder = rocm / "share" / "amd_smi" / _NAME
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
