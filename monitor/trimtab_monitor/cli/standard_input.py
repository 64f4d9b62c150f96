"""What can be read once only, kept in a temporary file while it is read, as readers go back in theirs.

That is standard input (`-`) and every pipe: a FIFO, or the shell's `<(zcat run.csv.gz)`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISCHR, S_ISFIFO, S_ISSOCK
from typing import BinaryIO, Final

from trimtab_monitor.replay.columns import NoRun

STANDARD_INPUT: Final = Path("-")
GZIP: Final = b"\x1f\x8b"


@contextmanager
def readable(file: Path) -> Iterator[Path]:
    """The file itself; for what can be read once only, one that holds all of it, gone at the end.

    Raises:
        NoRun: it is a device, which may have no end.
        OSError: it cannot be read.
    """
    if file == STANDARD_INPUT:
        with _spooled(sys.stdin.buffer, "stdin") as path:
            yield path
    elif _is_pipe(file):
        with file.open("rb") as pipe, _spooled(pipe, file.name) as path:
            yield path
    else:
        yield file


def _is_pipe(file: Path) -> bool:
    try:
        mode = file.stat().st_mode
    except OSError:
        return False  # the reader says why
    if S_ISCHR(mode):
        raise NoRun(file, None, "is a device", "give a file, or - for standard input")
    return S_ISFIFO(mode) or S_ISSOCK(mode)


@contextmanager
def _spooled(given: BinaryIO, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trimtab-") as folder:
        path = Path(folder) / name
        with path.open("wb") as out:
            shutil.copyfileobj(given, out)
        with path.open("rb") as kept:
            compressed = kept.read(len(GZIP)) == GZIP and path.suffix.lower() != ".gz"
        yield path.rename(path.with_name(f"{name}.gz")) if compressed else path


def named_as_given(text: str, file: Path, readable_file: Path) -> str:
    """What is told of the readable file, as of the one that was given."""
    if file == readable_file:
        return text
    return text.replace(str(readable_file), "standard input" if file == STANDARD_INPUT else str(file))
