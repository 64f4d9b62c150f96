"""The NVIDIA driver's library, NVML, as the sensors of its boards ask it.

Asking never raises: what a board, or an older driver, cannot tell is None. The library may be asked by many
threads at a time, and a call may take 100 ms: it holds no lock of Python's meanwhile.
"""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable
from typing import Any, Final

from trimtab.sensors.reading import LOG

LIBRARY: Final = "libnvidia-ml.so.1"
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 60.0

_UNINITIALIZED: Final = 1
_DRIVER_NOT_LOADED: Final = 9


class Driver:
    """An open NVML; `nvml` is the module pynvml.

    It is opened anew where the driver was loaded anew: where it says so, or none of the boards that are read
    answers any more. `opened` counts how often it was opened: handles of boards are good for one opening.
    `clock` is in seconds and never jumps.
    """

    def __init__(self, nvml: Any, clock: Callable[[], float]) -> None:
        self.nvml = nvml
        self.opened = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._gone = False
        self._read: set[str] = set()
        self._silent: set[str] = set()
        self._may_open_at = -float("inf")
        self._pause_s = FIRST_PAUSE_S

    def open(self) -> None:
        """Open the library.

        Raises:
            nvml.NVMLError: there is none, or no driver is loaded.
        """
        self.nvml.nvmlInit()
        self.opened += 1

    def ask(self, name: str, *args: Any) -> Any | None:
        """Call a function of NVML by its name; None where there is no answer."""
        function = getattr(self.nvml, name, None)
        if function is None:
            return None
        try:
            return function(*args)
        except self.nvml.NVMLError as error:
            if getattr(error, "value", None) in (_UNINITIALIZED, _DRIVER_NOT_LOADED):
                self._gone = True
            return None

    def note(self, uuid: str, *, answers: bool) -> None:
        """Note whether a board that is read answers."""
        self._read.add(uuid)
        if answers:
            self._silent.discard(uuid)
            self._pause_s = FIRST_PAUSE_S
        else:
            self._silent.add(uuid)

    def handle(self, uuid: str) -> Any | None:
        """Find a board by its UUID, and open the library anew first if the driver seems to be gone."""
        if self._gone or (self._read and self._silent >= self._read):
            self._open_anew()
        found = None if self._gone else self.ask("nvmlDeviceGetHandleByUUID", uuid)
        if found is None and self.ask("nvmlDeviceGetCount") is None:
            self._gone = True
        return found

    def _open_anew(self) -> None:
        """Try to, at first after a tenth of a second, in the end once in a minute, whoever asks."""
        with self._lock:
            if self._clock() < self._may_open_at:
                return
            self.ask("nvmlShutdown")
            try:
                self.open()
                self._gone = False
            except self.nvml.NVMLError:
                self._gone = True
            self._may_open_at = self._clock() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)


def is_here() -> bool:
    """Tell whether the driver's library can be loaded: without it pynvml is two megabytes for nothing."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def load() -> Any | None:
    """Import pynvml; None: there is no driver, or it is not installed, or broken."""
    if not is_here():
        return None
    try:
        return importlib.import_module("pynvml")
    except (ImportError, OSError, AttributeError, RuntimeError, SyntaxError, TypeError, ValueError) as error:
        LOG.info("trimtab: nvml: pynvml cannot be imported: %s: %s", type(error).__name__, error)
        return None
