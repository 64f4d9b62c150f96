"""Which files are TensorBoard's, by their names alone."""

from __future__ import annotations

from pathlib import Path


def is_event_file(path: Path) -> bool:
    """Whether it is called as TensorBoard wants its files called."""
    return "tfevents" in path.name


def event_files_in(folder: Path) -> list[Path]:
    """The event files that stand in a folder itself, by name."""
    return sorted(file for file in folder.iterdir() if is_event_file(file) and file.is_file())
