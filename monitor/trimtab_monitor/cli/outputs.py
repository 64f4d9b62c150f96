"""Files that a command is to write: whether it can is found out before its work, not after it."""

from __future__ import annotations

import os
from pathlib import Path


def check_writable(option: str, path: Path | None) -> None:
    """Check that a file can be written there, as far as that can be known without writing it.

    Raises:
        ValueError: it cannot; the message names the option.
    """
    if path is None:
        return
    if path.is_dir():
        raise ValueError(f"{option} {path}: is a directory; give a file in it, as {path / 'out'}")
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"{option} {path}: the folder {folder} does not exist; make it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ValueError(f"{option} {path}: cannot be written; give a file in a folder that can be")
