"""What power tells of one device: the energy between two readings, or a gap.

A gap is told of where readings are too far apart or have no value; what it may hold is estimated, apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trimtab_monitor.ledger.power import (
    LEAST_GAP_US,
    Estimate,
    PowerField,
    estimate,
    gap_limit_us,
    usual_us,
)
from trimtab_monitor.ledger.reading import Reading
from trimtab_monitor.ledger.tally import Entry, Tally


@dataclass(slots=True)
class PowerGauge:
    """What is known of the power of a device.

    `method` is how its energy is known at present, `power` what its power readings are. `rate_w` is what it
    drew last, `lowest_w` the lowest power that was read.
    """

    component: str = "gpu"
    method: str = "missing"
    power: PowerField = field(default_factory=PowerField)
    periods_us: list[int] = field(default_factory=list)
    rate_w: float | None = None
    lowest_w: float | None = None

    def hold(self, last: Reading, start_us: int, end_us: int, mean_w: float | None = None) -> Entry | None:
        """Tell of the time at an edge of the run what the reading beside it says, or the rate there.

        A device that told nothing more up to the end went on with its work (at `mean_w`) or stood still, and
        nobody knows which: it is estimated half-way between that and the lowest power.
        """
        by_power = self.estimated(last.power_w, None, end_us - start_us)
        if by_power is None and self.rate_w is not None and last.counter is not None:
            held = replace(self.power, method="power_instant")
            by_power = estimate(held, self.rate_w, None, end_us - start_us, 0.0)
        power_w = last.power_w
        if mean_w is not None and self.is_far(end_us - start_us):
            power_w = (mean_w + (mean_w if self.lowest_w is None else min(mean_w, self.lowest_w))) / 2
        first, second = Reading(start_us, power_w), Reading(end_us, power_w)
        method = "counter" if last.power_w is None and last.counter is not None else None
        return self.between(first, second, by_power, method)

    def see(self, power_w: float | None) -> None:
        """Remember the lowest power."""
        if power_w is not None and (self.lowest_w is None or power_w < self.lowest_w):
            self.lowest_w = power_w

    def gap(self, start_us: int, end_us: int, power_w: float | None, known_uj: int = 0) -> Entry:
        """Tell that the energy of this time is not known; estimated at this power, `known_uj` is counted."""
        interval_us = end_us - start_us
        estimated_uj = round((power_w or 0.0) * interval_us)
        least_uj = round(self._least_w * interval_us)
        most_uj = max(round(self.power.most_w * interval_us), estimated_uj)
        amount = Tally(known_uj, known_uj, known_uj, 0, interval_us)
        amount.estimated_uj = max(0, estimated_uj - known_uj)
        amount.estimated_low_uj = min(max(0, least_uj - known_uj), amount.estimated_uj)
        amount.estimated_high_uj = max(0, most_uj - known_uj)
        return Entry(start_us, end_us, self.method, amount)

    def is_next(self, interval_us: int) -> bool:
        """Whether readings so far apart have no other between them."""
        return bool(self.periods_us) and interval_us <= 3 * usual_us(self.periods_us) // 2

    def neighbours_w(self, last: Reading, reading: Reading) -> float | None:
        """The mean of the neighbours, or what was drawn before."""
        known = [power_w for power_w in (last.power_w, reading.power_w) if power_w is not None]
        return sum(known) / len(known) if known else self.rate_w

    @property
    def _least_w(self) -> float:
        """The least that it draws: the lowest power seen if it idled then, else nothing is known."""
        return self.lowest_w if self.lowest_w is not None and self.lowest_w <= self.power.idle_w else 0.0

    def estimated(
        self, previous_w: float | None, current_w: float | None, interval_us: int
    ) -> Estimate | None:
        """The energy between two readings of power; None if there is neither."""
        return estimate(self.power, previous_w, current_w, interval_us, self._least_w)

    def is_far(self, interval_us: int) -> bool:
        """Whether readings so far apart have a gap between them."""
        return interval_us > LEAST_GAP_US and interval_us > gap_limit_us(self.periods_us)

    def between(
        self, last: Reading, reading: Reading, by_power: Estimate | None, method: str | None = None
    ) -> Entry:
        """By power, or a gap."""
        start_us, end_us = last.time_us, reading.time_us
        interval_us = end_us - start_us
        if by_power is None or self.is_far(interval_us):
            told = self.gap(start_us, end_us, self.neighbours_w(last, reading))
            if not (last.has_value or reading.has_value) and method is None:
                told.method = "missing"
            return told
        amount = Tally(by_power.energy_uj, by_power.low_uj, by_power.high_uj, interval_us)
        self.rate_w = by_power.energy_uj / interval_us
        is_momentary = self.power.method == "power_instant"
        return Entry(
            start_us,
            end_us,
            method or self.power.method,
            amount,
            last.power_w if is_momentary else None,
            reading.power_w if is_momentary else None,
            self.power.most_w,
        )
