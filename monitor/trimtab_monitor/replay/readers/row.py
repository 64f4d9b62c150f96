"""What every reader gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import TypeVar

Note = Callable[[str], None]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line (counted from 1), its step (None: not given), and what was measured."""

    line: int
    step: int | None
    values: dict[str, float]


def with_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Yield each item, and whether it is the last."""
    iterator = iter(items)
    try:
        held = next(iterator)
    except StopIteration:
        return
    for item in iterator:
        yield held, False
        held = item
    yield held, True


def is_cut_off(path: Path) -> bool:
    """Whether the file ends within a line: its writer still writes, or was killed."""
    with path.open("rb") as file:
        if file.seek(0, SEEK_END) == 0:
            return False
        file.seek(-1, SEEK_END)
        return file.read(1) not in (b"\n", b"\r")
