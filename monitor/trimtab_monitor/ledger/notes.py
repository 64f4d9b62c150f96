"""What to know of measured energy before quoting it, each in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trimtab_monitor.ledger.check_notes import check_notes
from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.power import MODELS
from trimtab_monitor.ledger.rows import Totals
from trimtab_monitor.ledger.units import MICRO, energy_in_words

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
            f"{energy_in_words(totals.estimated_joules)}, at least "
            f"{energy_in_words(totals.estimated_low_uj / MICRO)} and at most "
            f"{energy_in_words(totals.estimated_high_uj / MICRO)}"
        )
    yield from _how_it_is_known(ledger, totals)
    for word, meaning in _COUNTED.items():
        count = getattr(totals.counts, word)
        if count:
            yield f"{count} {meaning}"
    yield from check_notes(ledger.streams.values())


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
        low, high = (energy_in_words(energy_uj / MICRO) for energy_uj in (totals.low_uj, totals.high_uj))
        yield f"the true energy of what was measured lies between {low} and {high}"
