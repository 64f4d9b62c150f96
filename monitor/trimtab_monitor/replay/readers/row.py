"""What every reader gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Note = Callable[[str], None]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line (counted from 1), its step, and what was measured.

    `line` is None where a file has none, `step` where it is not given. `time` is when, in Unix seconds, where
    that was recorded.
    """

    line: int | None
    step: int | None
    values: dict[str, float]
    time: float | None = None


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
