"""What to know of measured energy before quoting it, each in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.rows import Totals

_CHECK_BOUNDS: Final = (0.9, 1.1)
_COUNTED: Final[Mapping[str, str]] = {
    "late": "readings lay in time that was already counted, and were left out",
    "rejected": "readings were nonsense (negative, not finite or far too large), and were left out",
    "resets": "times an energy counter began again from 0",
    "ambiguous_wraps": "times a counter may have wrapped more often than seen: read it more often",
    "jumps": "times there was no reading for over an hour, of which nothing is said",
}


def energy_notes(ledger: EnergyLedger, totals: Totals) -> Iterable[str]:
    """What is missing, estimated, left out or in doubt."""
    if totals.joules is None:
        yield "no energy was measured: `trimtab doctor` says what this machine can measure and how"
    if totals.gap_us:
        yield (
            f"energy of {totals.gap_seconds:.1f} device seconds is not known and not in the sum; "
            f"perhaps {totals.estimated_joules:.1f} J"
        )
    if any(row.method in ("model", "constant") for row in ledger.rows() if row.summed):
        yield "some energy is modelled from utilisation, not measured: take it as half to twice the figure"
    for word, meaning in _COUNTED.items():
        count = getattr(totals.counts, word)
        if count:
            yield f"{count} {meaning}"
    for device, ratio in ledger.counter_checks().items():
        if not _CHECK_BOUNDS[0] <= ratio <= _CHECK_BOUNDS[1]:
            yield f"{device}: its energy counter tells {ratio:.2f} times what its power readings add up to"
