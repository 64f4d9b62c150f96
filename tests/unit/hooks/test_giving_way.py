"""Work on another thread gives way once a slice is over, and not before."""

from __future__ import annotations

from trimtab.outbound.giving_way import PAUSE_SECONDS, SLICE_SECONDS, GivingWay


def test_it_sleeps_a_moment_once_a_slice_is_over() -> None:
    now = 100.0
    slept: list[float] = []
    give_way = GivingWay(lambda: now, slept.append)
    give_way()
    assert slept == [PAUSE_SECONDS], "what came before the first call may have been long"
    for _ in range(10):
        give_way()
        now += 0.099 * SLICE_SECONDS
    assert len(slept) == 1
    now += 0.05 * SLICE_SECONDS
    give_way()
    give_way()
    assert len(slept) == 2
