"""What the fold knows of the budgets that a run counts to."""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab_monitor.budget.verdict import USED_UP, Reached, Told


@dataclass(slots=True)
class BudgetBook:
    """By name, what was last told of each budget. Its attributes are its state, and serialise.

    `checkpoints` counts those on disk that the job told of; `saved_attempt` is the attempt of the last of
    them since it was to stop. `asked_attempt` is the attempt that was last asked to stop, of `asked` in all.
    """

    reached: dict[str, Reached] = field(default_factory=dict)
    checkpoints: int = 0
    saved_attempt: int = -1
    asked_attempt: int = -1
    asked: int = 0

    @property
    def to_stop(self) -> Reached | None:
        """The budget for which the owner wants the run stopped, none while it may go on."""
        over = (each for each in self.reached.values() if each.stop and each.level >= USED_UP)
        return next(over, None)

    def told(self) -> dict[str, Told]:
        """By name, what was last told of each."""
        return {name: Told(each.level, each.limit, each.time) for name, each in self.reached.items()}

    def knows(self, reached: Reached) -> bool:
        """Whether just this was told."""
        known = self.reached.get(reached.name)
        return known is not None and (known.level, known.limit) == (reached.level, reached.limit)

    def on_reached(self, reached: Reached) -> Reached | None:
        """Note a new level; returns what was told of this budget before."""
        before = self.reached.get(reached.name)
        if self.to_stop is None:
            self.saved_attempt = -1  # a checkpoint of before is none of the state that the run is stopped in
        self.reached[reached.name] = reached
        return before

    def on_checkpoint(self, attempt: int) -> None:
        """The job saved a checkpoint on disk."""
        self.checkpoints += 1
        self.saved_attempt = attempt

    def stop_due(self, attempt: int) -> Reached | None:
        """The budget for which the run is to be asked to stop now: once in an attempt.

        At the next checkpoint, so that nothing is lost; at once where the job never told of any.
        """
        reached = self.to_stop
        if (
            reached is None
            or self.asked_attempt >= attempt
            or (self.checkpoints and self.saved_attempt != attempt)
        ):
            return None
        self.asked_attempt = attempt
        self.asked += 1
        return reached
