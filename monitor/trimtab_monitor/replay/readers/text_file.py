"""Opens text files, compressed ones (`.gz`) included."""

from __future__ import annotations

import gzip
from os import SEEK_END
from pathlib import Path
from typing import Final, TextIO, cast

COMPRESSED: Final = ".gz"

MOST_OF_A_LINE: Final = 1 << 24
"""Characters. Only a JSON document has longer lines; a file of anything else might fill the memory."""


def open_text(path: Path, newline: str | None = None) -> TextIO:
    """Open a file as UTF-8 text, with or without a mark of its byte order.

    Raises:
        OSError: it cannot be opened, or, while it is read, is not what its suffix says.
        EOFError: while it is read: the compressed data is cut off.
    """
    if path.suffix.lower() == COMPRESSED:
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=newline))
    return path.open(encoding="utf-8-sig", newline=newline)


def first_line(file: TextIO) -> str:
    """The first line that is not blank, without the space around it; no more of it than `MOST_OF_A_LINE`."""
    while line := file.readline(MOST_OF_A_LINE):
        if line.strip():
            return line.strip()
    return ""


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, in lower case."""
    inner = path.with_suffix("") if path.suffix.lower() == COMPRESSED else path
    return inner.suffix.lower()


def is_cut_off(path: Path) -> bool:
    """Whether the file ends within a line: its writer still writes, or was killed."""
    if path.suffix.lower() == COMPRESSED:
        return False  # it is compressed when it is whole
    with path.open("rb") as file:
        if file.seek(0, SEEK_END) == 0:
            return False
        file.seek(-1, SEEK_END)
        return file.read(1) not in (b"\n", b"\r")
