"""The hourly values that are known, as a reader of the ledger needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trimtab_monitor.pricing.intensity.values import Signal


@dataclass(frozen=True, slots=True)
class LiveSource:
    """What one provider told of its zone: g/kWh and whether that may still change, by hour (Unix seconds).

    `state` is how its feed stands; none where nobody asks it now, as in a report on what a collector left.
    """

    provider: str
    zone: str
    signal: Signal
    basis: str
    attribution: str
    values: Mapping[int, tuple[float, bool]] = field(default_factory=dict)
    state: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API tells it."""
        return {
            "provider": self.provider,
            "zone": self.zone,
            "signal": self.signal,
            "basis": self.basis,
            "attribution": self.attribution,
            "hours": [
                {"time": hour, "g_per_kwh": g_per_kwh, "is_estimated": is_estimated}
                for hour, (g_per_kwh, is_estimated) in sorted(self.values.items())
            ],
            "state": self.state,
        }

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> LiveSource:
        """Back from that shape."""
        kept = {name: value for name, value in told.items() if name != "hours"}
        hours = {int(each["time"]): (each["g_per_kwh"], each["is_estimated"]) for each in told["hours"]}
        return cls(values=hours, **kept)


class Intensities(Protocol):
    """Hourly values of one place, at most one source of each signal."""

    def sources(self, hours: Sequence[int]) -> Sequence[LiveSource]:
        """What is known of these hours, Unix seconds."""


class NoIntensities:
    """Where nobody is asked."""

    def sources(self, hours: Sequence[int]) -> Sequence[LiveSource]:
        """See Intensities."""
        del hours
        return ()
