"""A make-believe NVIDIA driver, `libnvidia-ml.so.1`: built by the machine's compiler, driven by a script."""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from energy_bench.board import Board

LIBRARY: Final = "libnvidia-ml.so.1"
SCRIPT: Final = "FAKE_NVML_SCRIPT"
"""The variable that names the script's file."""
_SOURCES: Final = Path(__file__).parent / "driver"
# No soname: a library of that name in this process would be taken for the machine's driver from then on.
_FLAGS: Final = (
    "-std=gnu11",
    "-O1",
    "-fPIC",
    "-shared",
    "-Wall",
    "-Wextra",
    "-Werror",
)


class NoCompilerError(Exception):
    """There is no C compiler here: the driver cannot be built."""


def build_driver(folder: Path) -> Path:
    """Build the library into a folder, unless it is there; return its path.

    Raises:
        NoCompilerError: there is no `cc`.
    """
    library = folder / LIBRARY
    if library.exists():
        return library
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCompilerError(
            "no C compiler (cc) on the PATH: the make-believe NVIDIA driver cannot be built"
        )
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{LIBRARY}.{os.getpid()}"
    sources = sorted(str(path) for path in _SOURCES.glob("*.c"))
    subprocess.run([compiler, *_FLAGS, "-o", str(unfinished), *sources, "-lm"], check=True)
    return unfinished.replace(library)


class VirtualClock:
    """A clock that stands still until it is put forward, shared with the driver by a file of one double."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)

    def __call__(self) -> float:
        """Return its seconds."""
        (seconds,) = struct.unpack("d", self._shared[:8])
        return float(seconds)

    def set(self, seconds: float) -> None:
        """Set it to a time."""
        self._shared[:8] = struct.pack("d", seconds)

    def sleep(self, seconds: float) -> None:
        """Put it forward."""
        self.set(self() + seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shared.close()


@dataclass(frozen=True, slots=True)
class Script:
    """What the driver plays: its second 0 is `start_s` of the clock, by default of CLOCK_MONOTONIC."""

    boards: Sequence[Board]
    start_s: float = 0.0
    clock: VirtualClock | None = None
    call_us: float = 0.0

    def write(self, path: Path) -> Path:
        """Write it for the driver. A driver reads a file once: give each script a path of its own."""
        head = [f"start {self.start_s!r}", f"call_us {self.call_us!r}"]
        clock = [] if self.clock is None else [f"clock {self.clock.path}"]
        boards = [line for board in self.boards for line in board.lines()]
        path.write_text("\n".join([*head, *clock, *boards]) + "\n")
        return path

    def now_s(self) -> float:
        """Seconds since its start."""
        return (time.monotonic() if self.clock is None else self.clock()) - self.start_s


def environment(library: Path, script: Path) -> Mapping[str, str]:
    """Return the variables by which a process of its own loads the driver and plays a script."""
    others = os.environ.get("LD_LIBRARY_PATH")
    folders = str(library.parent) if not others else f"{library.parent}:{others}"
    return {**os.environ, "LD_LIBRARY_PATH": folders, SCRIPT: str(script)}


@contextmanager
def playing(script: Script, path: Path) -> Iterator[None]:
    """Write a script, and name it to the driver within this process, until the block is left."""
    before = os.environ.get(SCRIPT)
    os.environ[SCRIPT] = str(script.write(path))
    try:
        yield
    finally:
        if before is None:
            del os.environ[SCRIPT]
        else:
            os.environ[SCRIPT] = before


def load_pynvml(library: Path) -> Any:
    """Return a module pynvml of its own that calls the driver, for use within this process.

    The module that others import stays as it is. The driver reads its script when `nvmlInit` is called,
    from the file that FAKE_NVML_SCRIPT names then.
    """
    name = f"pynvml_of_{library}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.find_spec("pynvml")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("pynvml is not installed: pip install nvidia-ml-py")
    spec = importlib.util.spec_from_file_location(name, found.origin)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pynvml looks itself up while it is executed
    spec.loader.exec_module(module)
    module.nvmlLib = ctypes.CDLL(str(library))
    return module
