"""Work that was done and thrown away, or never done: what an instability cost, by its cause.

rollback  steps after the one that the run went back to, by a command
restart   steps after the last one kept, and the time until the next attempt made a new one
hang      the time without a step, from the last one to the next or to the end
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from trimtab_monitor.ledger.units import MICRO

Cause = Literal["rollback", "restart", "hang"]
CAUSES: Final[tuple[Cause, ...]] = ("rollback", "restart", "hang")


@dataclass(slots=True)
class Standstill:
    """A run makes no step, for this cause, since this time (Unix seconds of the job's clock)."""

    cause: Cause
    since: float


@dataclass(frozen=True, slots=True)
class LostWork:
    """What was lost by one cause. A moment that several would claim is the first's alone: they add up.

    `energy_uj` is None where no energy was measured at all.
    """

    cause: Cause
    steps: int
    length_us: int
    energy_uj: int | None

    @property
    def seconds(self) -> float:
        """How long that took."""
        return self.length_us / MICRO

    @property
    def joules(self) -> float | None:
        """Measured IT energy of it."""
        return None if self.energy_uj is None else self.energy_uj / MICRO

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API and the report tell it."""
        return {"cause": self.cause, "steps": self.steps, "seconds": self.seconds, "joules": self.joules}
