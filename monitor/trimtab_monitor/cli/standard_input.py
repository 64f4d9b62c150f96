"""`-` as a file: standard input, kept in a temporary file while it is read, as readers go back in theirs."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STANDARD_INPUT: Final = Path("-")


@contextmanager
def readable(file: Path) -> Iterator[Path]:
    """The file itself; for `-`, one that holds all of standard input, gone at the end."""
    if file != STANDARD_INPUT:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="trimtab-") as folder:
        spooled = Path(folder) / "stdin"
        with spooled.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        yield spooled


def named_as_given(text: str, file: Path, readable_file: Path) -> str:
    """What is told of the readable file, as of the one that was given."""
    return text if file == readable_file else text.replace(str(readable_file), "standard input")
