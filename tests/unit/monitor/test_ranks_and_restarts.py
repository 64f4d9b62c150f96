"""However many ranks tell of a device, and however often the run begins again: its energy is counted once."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab import wire
from trimtab_monitor.entries import BatchReceived, Registration
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState, new_run
from trimtab_monitor.ledger.testing import T0, device
from trimtab_monitor.settings import Settings

SETTINGS = Settings()
WATTS_MJ = 300_000


def run_of(batches: Iterable[tuple[int, int, int, int]], *, counter: bool = True) -> RunState:
    """A run of these batches: (rank, attempt, first second, last second) of one GPU at 300 W."""
    state = new_run("run", T0, Registration(project="gpt"), SETTINGS)
    seen = set()
    for rank, attempt, first, last in batches:
        times = range(first, last + 1)
        reading = device(
            times,
            power=[300] * len(times),
            counter=[WATTS_MJ * time for time in times] if counter else None,
        )
        start = {"kind": "run_start", "step": 0, "time": T0 + first, "boot_id": "boot1"}
        events = [] if (rank, attempt) in seen else [start]
        seen.add((rank, attempt))
        batch = wire.Batch(rank=rank, seq=0, attempt=attempt, devices=[reading], events=events)
        fold(state, BatchReceived(T0 + last, "run", batch), SETTINGS)
    return state


def test_eight_ranks_of_a_host_are_one() -> None:
    one = run_of([(0, 0, 0, 60)])
    eight = run_of((rank, 0, first, first + 20) for first in (0, 20, 40) for rank in range(8))
    assert eight.ledger.totals().joules == one.ledger.totals().joules == 18_000
    assert eight.ledger.gpu_seconds() == one.ledger.gpu_seconds() == 60


def test_another_rank_that_takes_over_goes_on_where_the_first_ended() -> None:
    assert run_of([(0, 0, 0, 20), (3, 0, 22, 60)]).ledger.totals().joules == 18_000


def test_a_restart_in_mid_run_is_no_restart() -> None:
    for counter in (True, False):
        whole, again = (
            run_of(batches, counter=counter) for batches in ([(0, 0, 0, 60)], [(0, 0, 0, 30), (0, 1, 31, 60)])
        )
        assert again.ledger.totals().joules == whole.ledger.totals().joules == 18_000


def test_a_restart_after_minutes_counts_what_the_counter_counted() -> None:
    assert run_of([(0, 0, 0, 30), (0, 1, 600, 660)]).ledger.totals().joules == 660 * 300
