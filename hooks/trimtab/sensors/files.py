"""What small files of the system say; those that cannot be read say nothing."""

from __future__ import annotations

from pathlib import Path


def text(file: Path) -> str:
    """Return what a file says, without the space around it; "" if it cannot be read."""
    try:
        return file.read_text().strip()
    except (OSError, ValueError):
        return ""


def count(file: Path) -> int | None:
    """Return the whole number, 0 or more, that a file says; None if it does not."""
    said = text(file)
    return int(said) if said.isascii() and said.isdigit() else None
