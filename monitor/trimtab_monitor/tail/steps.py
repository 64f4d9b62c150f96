"""Which attempt and step each row belongs to, as a watched job would count them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from trimtab import wire
from trimtab_monitor.replay.readers.row import Note, Row

TOO_OFTEN: Final = 3
WITHIN_ROWS: Final = 20
"""Steps that go back so often within so many rows come from writers that share the file."""
STARTED_AGAIN: Final = 50
"""After so many rows in a row behind the foremost writer, that one has ended and another began again."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A row and where it belongs; attempts count from 0, and only grow."""

    attempt: int
    step: int
    row: Row

    @property
    def place(self) -> tuple[int, int]:
        """Attempt and step."""
        return self.attempt, self.step


class Steps:
    """Places rows in the order in which they were written.

    Rows without a step are counted, those with a loss. A step that goes back begins an attempt, unless
    several processes write to one file: then only what goes forward counts. A row without a loss begins none.
    """

    def __init__(self, name: str, note: Note) -> None:
        self._name = name
        self._note = note
        self.attempt = 0
        self.last: int | None = None
        self._rows = 0
        self._back: deque[int] = deque(maxlen=TOO_OFTEN)
        self._shared = False
        self._behind_now = 0

    def place(self, row: Row) -> Placed | None:
        """Return where a row belongs; None: it is left out."""
        self._rows += 1
        has_loss = wire.LOSS in row.values
        if row.step is None and self.last is None and not has_loss:
            return None
        step = self._next(has_loss) if row.step is None else row.step
        if self.last is None or step >= self.last:
            self._behind_now = 0
            self.last = step
        elif not has_loss:
            return Placed(self.attempt, step, row)
        elif not self._goes_back(step):
            return None
        return Placed(self.attempt, step, row)

    def _next(self, has_loss: bool) -> int:
        if self.last is None:
            return 1
        return self.last + 1 if has_loss else self.last

    def _goes_back(self, step: int) -> bool:
        """Take a step behind the last one; False: it is left out."""
        if self._shared:
            self._behind_now += 1
            if self._behind_now < STARTED_AGAIN:
                return False
            self._shared, self._behind_now = False, 0
            self._back.clear()
        self._back.append(self._rows)
        if len(self._back) == TOO_OFTEN and self._rows - self._back[0] < WITHIN_ROWS:
            self._shared = True
            self._note(
                f"{self._name}: steps go back and forth, as if several processes wrote to it: only those "
                "that go forward count from here on; let each process write to a file of its own"
            )
            return False
        self.attempt += 1
        self._note(f"{self._name}: step {step} after step {self.last}: attempt {self.attempt} begins")
        self.last = step
        return True
