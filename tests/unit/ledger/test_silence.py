"""A device that tells nothing any more: a gap at once, not when the run ends."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab import wire
from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import T0, device, ledger_of, restored

OLD = 10**9


def read(times: Iterable[int], uuid: str = "GPU-1") -> wire.Device:
    seconds = list(times)
    counter = [OLD + 100_000 * each for each in seconds]
    return device(seconds, counter=counter, power=[100] * len(seconds), uuid=uuid)


def empty(times: range) -> wire.Device:
    return device(times, counter=[None] * len(times), power=[None] * len(times))


def gaps(ledger: EnergyLedger) -> dict[str, float]:
    return {row.device: row.gap_seconds for row in restored(ledger).rows()}


def test_a_device_that_is_read_without_a_value_is_a_gap_while_the_run_goes_on() -> None:
    ledger = ledger_of(read(range(61)), empty(range(61, 101)))
    assert gaps(ledger) == {"GPU-1": 40}
    assert ledger.totals().estimated_joules == 4_000
    ledger.add(read([101]))
    assert gaps(ledger) == {"GPU-1": 0}


def test_a_device_that_is_lost_is_a_gap_while_others_of_its_host_are_read() -> None:
    ledger = ledger_of(read(range(61)), read(range(7_261), "GPU-2"))
    assert gaps(ledger) == {"GPU-1": 7_200, "GPU-2": 0}
    assert ledger.totals().joules == 6_000 + 726_000


def test_a_device_that_a_restarted_run_has_no_more_is_no_gap_from_there() -> None:
    ledger = ledger_of(read(range(61)), read(range(161), "GPU-2"))
    ledger.open("boot1", T0 + 161)
    ledger.add(read(range(161, 7_261), "GPU-2"))
    assert gaps(ledger) == {"GPU-1": 101, "GPU-2": 0}


def test_batches_of_ranks_that_come_a_little_later_are_no_gap() -> None:
    assert gaps(ledger_of(read(range(61)), read(range(101), "GPU-2"))) == {"GPU-1": 0, "GPU-2": 0}
