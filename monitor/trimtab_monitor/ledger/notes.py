"""What to know of measured energy before quoting it, each in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.power import MODELS
from trimtab_monitor.ledger.rows import Totals
from trimtab_monitor.ledger.stream import Stream
from trimtab_monitor.ledger.units import MICRO

_CHECK_BOUNDS: Final = (0.9, 1.1)
_MOMENTARY_BOUNDS: Final = (0.5, 2.0)
_WIDE_SHARE: Final = 0.02
_COUNTED: Final[Mapping[str, str]] = {
    "late": "readings lay in time that was already counted, and were left out",
    "rejected": "readings were nonsense (negative, not finite or far too large), and were left out",
    "resets": "times an energy counter began again from 0: power stands in for what it lost",
    "doubtful_resets": (
        "times a counter may have begun again from 0 while nothing was read: "
        "the least it can have counted is in the sum"
    ),
    "ambiguous_wraps": "times a counter may have wrapped more often than seen: read it more often",
    "clocks": "times readings lay before the start that the run told: their clocks differ, and they count",
    "jumps": "times there was no reading for over an hour, of which nothing is said",
}


def energy_notes(ledger: EnergyLedger, totals: Totals) -> Iterable[str]:
    """What is missing, estimated, left out or in doubt."""
    if totals.joules is None:
        yield "no energy was measured: `trimtab doctor` says what this machine can measure and how"
    if totals.gap_us:
        yield (
            f"energy of {totals.gap_seconds:.1f} device seconds is not known and not in the sum; perhaps "
            f"{totals.estimated_joules:.1f} J, at least {totals.estimated_low_uj / MICRO:.1f} and at most "
            f"{totals.estimated_high_uj / MICRO:.1f}"
        )
    yield from _how_it_is_known(ledger, totals)
    for word, meaning in _COUNTED.items():
        count = getattr(totals.counts, word)
        if count:
            yield f"{count} {meaning}"
    for stream in ledger.streams.values():
        yield from _check_notes(stream)


def _how_it_is_known(ledger: EnergyLedger, totals: Totals) -> Iterable[str]:
    methods = {row.method for row in ledger.rows() if row.summed and row.tally.energy_uj}
    if methods & MODELS:
        yield "some energy is modelled from utilisation, not measured: take it as half to twice the figure"
    if "power_instant" in methods:
        yield (
            "some energy is summed from momentary power, which shows as little as a quarter of the time: "
            "a load in step with the sensor is seen wrongly however often it is read"
        )
    if totals.energy_uj and totals.high_uj - totals.low_uj > _WIDE_SHARE * totals.energy_uj:
        low, high = totals.low_uj / MICRO, totals.high_uj / MICRO
        yield f"the true energy of what was measured lies between {low:.1f} and {high:.1f} J"


def _check_notes(stream: Stream) -> Iterable[str]:
    check = stream.check
    if check.ratio is None:
        return
    low, high = _CHECK_BOUNDS if check.is_firm else _MOMENTARY_BOUNDS
    if not low <= check.ratio <= high:
        doubt = "" if check.is_firm else ": the counter is wrong, or momentary power does not see the load"
        yield (
            f"{stream.uuid}: its energy counter tells {check.ratio:.2f} times what its power readings "
            f"add up to, in the last minute checked{doubt}"
        )
    if check.unsound:
        yield (
            f"{stream.uuid}: in {check.unsound} of {check.minutes} minutes its energy counter told less than "
            "0.9 or more than 1.1 times its average power"
        )
    if check.by_power:
        yield (
            f"{stream.uuid}: its energy counter was not believed in {check.by_power} of {check.minutes} "
            "minutes (less than half or more than twice its average power): power counted in its stead"
        )
