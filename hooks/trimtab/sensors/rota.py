"""What is asked of a device now and then, in turn, within a limit of time: a slow driver holds up nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

EARLY_S: Final = 0.2
"""A task is due so much before its time: turns come a little early now and then."""


@dataclass(slots=True)
class Task:
    """Something to ask every `period_s` seconds."""

    period_s: float
    ask: Callable[[], Any]
    due_at: float = -float("inf")


class Rota:
    """Asks what is due, the longest overdue first; what finds no time is first in the next turn."""

    def __init__(self, tasks: Sequence[Task], clock: Callable[[], float]) -> None:
        self._tasks = list(tasks)
        self._clock = clock

    def turn(self, limit_s: float) -> None:
        """Ask until `limit_s` have passed, but at least one that is due."""
        now = self._clock()
        give_up_at = now + limit_s
        for task in sorted(self._tasks, key=lambda task: task.due_at):
            if task.due_at - EARLY_S > now:
                break
            task.ask()
            task.due_at = now + task.period_s
            if self._clock() >= give_up_at:
                break
