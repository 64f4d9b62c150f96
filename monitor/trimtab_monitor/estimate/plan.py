"""A planned run: how many device hours, at which power."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from trimtab_monitor.estimate.hardware import Found

_LEAST_KWH: Final = 1e-9
_MOST_KWH: Final = 1e15
"""The world uses some 3e13 kWh of electricity a year."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Device hours, and watts of each device while it is at work.

    `utilisation` is the share of `watts` that a device draws on average, `host_watts` what the rest of the
    machine draws for each device. `found` is where `watts` is from, none if it was given. `count` and `hours`
    are those that `device_hours` was made of, none if it was given.

    Raises:
        ValueError: a figure that no run can have; the message names it.
    """

    device_hours: float
    watts: float
    utilisation: float = 1.0
    host_watts: float = 0.0
    found: Found | None = None
    count: int | None = None
    hours: float | None = None

    def __post_init__(self) -> None:
        _above_zero("--count", self.count, "give how many devices work at once")
        _above_zero("--hours", self.hours, "give how long the run takes")
        _above_zero("--device-hours", self.device_hours, "give devices times hours")
        _above_zero("--watts", self.watts, "give what one device draws")
        if not 0 < self.utilisation <= 1:
            raise ValueError(
                f"--utilisation {self.utilisation:g}: give the share of its power that a device draws, "
                "above 0 and at most 1"
            )
        if not (0 <= self.host_watts < math.inf):
            raise ValueError(f"--host-watts {self.host_watts:g}: give a finite number, 0 or more")
        if not _LEAST_KWH <= self.it_kwh <= _MOST_KWH:
            raise ValueError(
                f"hours and watts come to {self.it_kwh:.3g} kWh, which no run uses: check their units"
            )

    @property
    def it_kwh(self) -> float:
        """Energy of the machines in kWh."""
        return self.device_hours * (self.watts * self.utilisation + self.host_watts) / 1_000


def _above_zero(name: str, value: float | None, remedy: str) -> None:
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{name} {value:g}: must be a finite number above 0; {remedy}")
