"""Runs that hold one device at the same time: each its part, and together the device, to the microjoule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.entries import DevicesHeld
from trimtab_monitor.intake.holders import Holders
from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.division import part
from trimtab_monitor.ledger.testing import MICROJOULE, T0, device, restored

NOW = T0 + 10_000
Batch = tuple[str, list[int]]
"""A run and the seconds of which it sends readings."""


@dataclass
class Site:
    """A device whose energy is known, in microjoules up to each second, and the runs that read it."""

    counter: Mapping[int, int]
    given: dict[str, Any] = field(default_factory=dict)
    holders: Holders = field(default_factory=Holders)
    ledgers: dict[str, EnergyLedger] = field(default_factory=dict)
    told: list[DevicesHeld] = field(default_factory=list)

    def send(self, run: str, seconds: Sequence[int], *events: dict[str, Any]) -> None:
        """A run sends readings; all ledgers are written down and read back."""
        readings = [self.reading(seconds)] if seconds else []
        batch = wire.Batch(rank=0, seq=0, devices=readings, events=events)
        told = self.holders.notice(run, batch, NOW)
        ledger = self.ledgers.setdefault(run, EnergyLedger())
        for each in readings:
            ledger.add(each)
        self.tell(told)
        self.ledgers = {name: restored(each) for name, each in self.ledgers.items()}

    def tell(self, told: Sequence[DevicesHeld]) -> None:
        self.told += told
        for entry in told:
            for each in entry.holdings:
                self.ledgers[entry.run].hold(entry.run, each.by, each.device, each.from_us, each.until_us)

    def reading(self, seconds: Sequence[int]) -> wire.Device:
        counts = [self.counter[second] for second in seconds]
        return device(list(seconds), counter=counts, counter_unit_j=MICROJOULE, **self.given)

    def end(self) -> dict[str, int]:
        """Nothing comes any more: the microjoules of each run."""
        self.tell(self.holders.lapse(NOW + 1_000))
        return self.own()

    def own(self) -> dict[str, int]:
        return {run: ledger.totals().energy_uj or 0 for run, ledger in sorted(self.ledgers.items())}

    def used(self, from_: int, until: int) -> int:
        return self.counter[until] - self.counter[from_]


def constant(seconds: int, watts: int = 100) -> Site:
    return Site({second: second * watts * 1_000_000 for second in range(seconds + 1)})


def uneven(seconds: int) -> Site:
    counter, counts = 0, {}
    for second in range(seconds + 1):
        counts[second] = counter
        counter += 50_000_001 + second * 7_919 % 613 * 1_000_003
    return Site(counts)


def seconds(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


@given(st.integers(-(10**15), 10**15), st.integers(1, 9))
def test_parts_add_up_to_the_whole(whole: int, of: int) -> None:
    parts = [part(whole, index, of) for index in range(of)]
    assert sum(parts) == whole
    assert max(parts) - min(parts) <= 1


class TestTwoRuns:
    def test_that_send_the_same_readings_get_half_each(self) -> None:
        site = constant(20)
        site.send("a", seconds(0, 20))
        site.send("b", seconds(0, 20))
        assert site.end() == {"a": 1_000_000_000, "b": 1_000_000_000}
        (row,) = site.ledgers["a"].rows()
        assert (row.shared, row.others_joules) == (True, 1_000)

    def test_live_with_readings_between_each_others(self) -> None:
        site = constant(41)
        for second in range(40):
            site.send("a" if second % 2 else "b", [second])
        own = site.end()
        assert own == {"a": 1_950_000_000, "b": 1_950_000_000}

    def test_one_that_begins_and_ends_while_the_other_goes_on(self) -> None:
        site = uneven(30)
        site.send("a", seconds(0, 12))
        site.send("b", seconds(10, 15))
        site.send("a", seconds(13, 18))
        site.send("b", seconds(16, 20), {"kind": "run_end", "time": T0 + 20.5})
        site.send("a", seconds(19, 30))
        half = site.used(10, 20) // 2
        assert site.end() == {
            "a": site.used(0, 10) + half + site.used(20, 30),
            "b": site.used(10, 20) - half,
        }

    def test_one_that_is_killed_lets_go_at_its_last_reading(self) -> None:
        site = uneven(200)
        site.send("b", seconds(0, 20))
        for second in seconds(0, 200):
            site.send("a", [second])
        half = site.used(0, 20) // 2
        assert site.own() == {"a": half + site.used(20, 200), "b": site.used(0, 20) - half}

    def test_after_each_other_share_nothing_and_are_told_nothing(self) -> None:
        site = uneven(400)
        site.send("a", seconds(0, 60), {"kind": "run_end", "time": T0 + 60})
        site.send("b", seconds(61, 100))
        assert site.told == []
        assert site.end() == {"a": site.used(0, 60), "b": site.used(61, 100)}

    def test_one_that_restarts_in_the_others_time_gets_nothing_of_the_time_between(self) -> None:
        """Its counter tells what was used while it was gone: by the other."""
        site = constant(900)
        site.send("a", seconds(0, 20))
        site.send("b", seconds(100, 119), {"kind": "run_end", "time": T0 + 119})
        site.send("a", seconds(700, 720))
        own = site.end()
        assert own["b"] == site.used(100, 119)
        assert sum(own.values()) == site.used(0, 720)

    def test_the_curve_and_the_hours_hold_the_own_part_only(self) -> None:
        site = uneven(30)
        site.send("a", seconds(0, 30))
        site.send("b", seconds(5, 25))
        own = site.end()
        for run, ledger in site.ledgers.items():
            assert sum(uj for _, uj in ledger.by_hour()) == own[run]
            assert ledger.parts.curve.within(0, 10**17) == own[run]

    def test_hold_a_gpu_for_half_its_time_each(self) -> None:
        site = constant(60)
        site.send("a", seconds(0, 60))
        site.send("b", seconds(20, 40))
        site.end()
        assert site.ledgers["a"].gpu_seconds() == 50
        assert site.ledgers["b"].gpu_seconds() == 10

    def test_that_know_their_shares_are_not_divided_again(self) -> None:
        site = constant(10)
        for run, share in (("a", 0.25), ("b", 0.75)):
            site.given = {"held_share": [share] * 11}
            site.send(run, seconds(0, 10))
        assert site.end() == {"a": 250_000_000, "b": 750_000_000}


def test_ranks_of_one_run_on_a_host_are_one_holder() -> None:
    site = uneven(20)
    for rank in range(8):
        batch = wire.Batch(rank=rank, seq=0, devices=[site.reading(seconds(0, 20))])
        assert site.holders.notice("a", batch, NOW) == []
        site.ledgers.setdefault("a", EnergyLedger()).add(batch.devices[0])
    assert site.own() == {"a": site.used(0, 20)}


def test_a_restart_that_is_back_at_once_is_no_other_holder() -> None:
    site = uneven(40)
    site.send("a", seconds(0, 15), {"kind": "run_end", "status": "failed", "time": T0 + 15})
    site.send("a", seconds(25, 40))
    assert site.told == []
    assert site.end() == {"a": site.used(0, 40)}


def test_what_one_of_three_leaves_is_the_others() -> None:
    site = uneven(30)
    for run, last in (("a", 30), ("b", 20), ("c", 10)):
        site.send(run, seconds(0, last))
    own = site.end()
    assert sum(own.values()) == site.used(0, 30)
    assert own["c"] == pytest.approx(site.used(0, 10) / 3, abs=1)
    assert own["b"] == pytest.approx(site.used(0, 10) / 3 + site.used(10, 20) / 2, abs=2)


def test_a_history_of_hours_that_comes_late_is_divided_too() -> None:
    site = constant(4 * 3600)
    site.send("a", range(0, 4 * 3600 + 1, 10))
    site.send("b", range(3600, 2 * 3600 + 1, 10))
    assert site.end() == {"a": 3.5 * 360_000_000_000, "b": 0.5 * 360_000_000_000}


def test_the_state_of_a_device_stays_small() -> None:
    site = uneven(5_000)
    site.send("a", seconds(0, 5_000))
    (division,) = site.ledgers["a"].divisions.values()
    assert len(msgspec.msgpack.encode(division)) < 2_400


# --- whatever comes in whatever order ---


@st.composite
def stories(draw: st.DrawFn) -> tuple[int, dict[str, list[int]]]:
    """Seconds between readings, and the readings (by number) of two or three runs, with breaks."""
    period = draw(st.sampled_from([1, 7, 50]))
    readings = {}
    for run in draw(st.sampled_from([["a", "b"], ["b", "a", "c"]])):
        first = draw(st.integers(0, 20))
        last = draw(st.integers(first + 1, 28))
        gone = draw(st.sets(st.integers(first, last), max_size=8))
        readings[run] = [n for n in range(first, last + 1) if n not in gone] or [first]
    return period, readings


def played(period: int, counter: Mapping[int, int], batches: Sequence[Batch]) -> dict[str, Any]:
    site = Site({n * period: count for n, count in counter.items()})
    for run, numbers in batches:
        site.send(run, [n * period for n in numbers])
    site.end()
    return {
        run: (row.tally, row.others_uj, ledger.by_hour(), ledger.gpu_seconds())
        for run, ledger in sorted(site.ledgers.items())
        for row in ledger.rows()
    }


@settings(deadline=None, max_examples=50)
@given(stories(), st.lists(st.integers(0, 10**9), min_size=29, max_size=29), st.data())
def test_however_batches_are_cut_and_mixed_the_ledgers_are_the_same(
    story: tuple[int, dict[str, list[int]]], steps: list[int], data: st.DataObject
) -> None:
    period, readings = story
    counter = {n: sum(steps[:n]) for n in range(29)}
    whole = played(period, counter, list(readings.items()))
    batches: list[Batch] = []
    left = {run: list(numbers) for run, numbers in readings.items()}
    while left:
        run = data.draw(st.sampled_from(sorted(left)))
        size = data.draw(st.integers(1, 29))
        batches.append((run, left[run][:size]))
        left[run] = left[run][size:]
        if not left[run]:
            del left[run]
    assert played(period, counter, batches) == whole


@settings(deadline=None, max_examples=50)
@given(stories(), st.lists(st.integers(0, 10**9), min_size=29, max_size=29))
@example((1, {"b": [0, 1, 2], "a": [0, 1, 2]}), [1] * 29)
@example((50, {"a": [*range(15, 23), 25], "b": [*range(18, 23), 25]}), [1] * 29)
def test_the_sum_of_the_jobs_is_the_device(story: tuple[int, dict[str, list[int]]], steps: list[int]) -> None:
    """Every moment that some run measured counts once: runs that read together read the same."""
    period, readings = story
    numbers = sorted({n for each in readings.values() for n in each})
    together = {run: [n for n in numbers if each[0] <= n <= each[-1]] for run, each in readings.items()}
    counter = {n: sum(steps[:n]) for n in range(29)}
    told = played(period, counter, list(together.items()))
    spans = [(each[0], each[-1]) for each in together.values()]
    known = sum(
        steps_uj
        for n, steps_uj in enumerate(steps[:28])
        if any(first <= n and n + 1 <= last for first, last in spans)
    )
    assert sum(tally.energy_uj for tally, *_ in told.values()) == known
    for tally, others_uj, by_hour, _ in told.values():
        assert sum(uj for _, uj in by_hour) == tally.energy_uj
        assert others_uj >= 0
