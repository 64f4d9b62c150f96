"""What holds for any readings: cut into batches anyhow, repeated, the ledger written down between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.spans import gaps_us, read_us
from trimtab_monitor.ledger.testing import MICROJOULE, MILLIJOULE, T0, device, restored

_RANGE = 500_000_000


class Trace(NamedTuple):
    """Readings of one device."""

    uuid: str
    method: str
    rows: list[tuple[float, float | None, int | None]]

    def part(self, start: int, end: int) -> wire.Device:
        rows = self.rows[start:end]
        counter = [row[2] for row in rows] if self.method == "counter" else None
        power = [row[1] for row in rows]
        unit = {"counter_unit_j": MICROJOULE, "counter_range": _RANGE} if counter is not None else {}
        return device(
            [row[0] for row in rows], power=power, counter=counter, uuid=self.uuid, method=self.method, **unit
        )


steps = st.one_of(st.floats(0.01, 3), st.floats(0.01, 3), st.floats(0.01, 5_000))
powers = st.one_of(st.none(), st.floats(0, 1_000), st.floats(allow_nan=True, allow_infinity=True))
counters = st.one_of(st.none(), st.integers(0, _RANGE - 1))
methods = st.sampled_from(["counter", "power_average", "power_instant", "model"])


@st.composite
def traces(draw: st.DrawFn) -> list[Trace]:
    made = []
    for uuid in ("GPU-0", "GPU-1")[: draw(st.integers(1, 2))]:
        rows = draw(st.lists(st.tuples(steps, powers, counters), min_size=1, max_size=30))
        time, placed = 0.0, []
        for step, power, counter in rows:
            time += step
            placed.append((time, power, counter))
        made.append(Trace(uuid, draw(methods), placed))
    return made


def whole(made: Sequence[Trace]) -> EnergyLedger:
    ledger = EnergyLedger()
    for trace in made:
        ledger.add(trace.part(0, len(trace.rows)))
    return ledger


@settings(deadline=None)
@given(traces(), st.data())
def test_batches_and_restarts_of_the_collector_change_nothing(made: list[Trace], data: st.DataObject) -> None:
    ledger = EnergyLedger()
    sent = [0] * len(made)
    while any(n < len(trace.rows) for n, trace in zip(sent, made, strict=True)):
        which = data.draw(st.integers(0, len(made) - 1))
        size = data.draw(st.integers(1, 10))
        ledger.add(made[which].part(sent[which], sent[which] + size))
        sent[which] += size
        ledger = restored(ledger)
    assert ledger.totals() == whole(made).totals()
    assert ledger.rows() == whole(made).rows()
    assert ledger.parts == whole(made).parts


@settings(deadline=None)
@given(traces(), st.data())
def test_what_is_sent_twice_counts_once(made: list[Trace], data: st.DataObject) -> None:
    ledger = EnergyLedger()
    for trace in made:
        cut = data.draw(st.integers(0, len(trace.rows)))
        ledger.add(trace.part(0, cut))
        ledger.add(trace.part(data.draw(st.integers(0, cut)), cut))
        ledger.add(trace.part(cut, len(trace.rows)))
        ledger.add(trace.part(0, data.draw(st.integers(0, len(trace.rows)))))
    assert [row.tally for row in ledger.rows()] == [row.tally for row in whole(made).rows()]
    assert ledger.parts == whole(made).parts


@settings(deadline=None)
@given(traces())
def test_parts_add_up_to_the_whole(made: list[Trace]) -> None:
    ledger = whole(made)
    by_row = sum(row.tally.energy_uj for row in ledger.rows())
    assert (ledger.totals().energy_uj or 0) == by_row
    assert sum(energy_uj for _, energy_uj in ledger.by_hour()) == by_row
    assert by_row >= 0


@settings(deadline=None)
@given(traces())
def test_all_time_is_measured_or_a_gap(made: list[Trace]) -> None:
    for trace in made:
        (stream,) = (each for each in whole([trace]).streams.values())
        told = stream.told().values()
        covered = read_us(stream.spans) + gaps_us(stream.spans)
        silent = stream.empty_us - stream.spans[-1].last.time_us if stream.spans else 0
        covered += silent if stream.gauge.is_far(silent) else 0
        assert sum(tally.measured_us + tally.gap_us for tally in told) == covered


@settings(deadline=None)
@given(traces(), st.lists(st.tuples(st.floats(0, 20_000), st.floats(0, 20_000)), max_size=5))
def test_lost_energy_is_a_part_of_the_whole(made: list[Trace], losses: list[tuple[float, float]]) -> None:
    ledger = EnergyLedger()
    for trace in made:
        ledger.add(trace.part(0, len(trace.rows)))
        for start, end in losses:
            ledger.lose("restart", T0 + start, T0 + end, steps=1)
    totals = ledger.totals()
    assert 0 <= totals.lost_uj <= (totals.energy_uj or 0)


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_lost_energy_is_the_same_whether_readings_come_before_or_after(
    seconds: int, cut: int, start: int, end: int
) -> None:
    times = range(seconds + 1)
    readings = Trace("GPU-0", "power_instant", [(float(i), 10.0 + i % 7, None) for i in times])
    early, late = EnergyLedger(), EnergyLedger()
    early.add(readings.part(0, len(times)))
    early.lose("hang", T0 + start, T0 + end, 1)
    late.add(readings.part(0, cut))
    late.lose("hang", T0 + start, T0 + end, 1)
    late.add(readings.part(cut, len(times)))
    assert late.totals() == replace(early.totals(), counts=late.totals().counts)


@given(
    st.lists(st.integers(0, 10**6), min_size=2, max_size=50),
    st.sampled_from([MICROJOULE, MILLIJOULE, 1.7e-05]),
)
def test_a_counter_converts_to_the_same_total_at_any_rate_of_reading(steps_: list[int], unit: float) -> None:
    counter = [sum(steps_[: i + 1]) for i in range(len(steps_))]
    times = [float(i) for i in range(len(steps_))]
    fine, coarse = EnergyLedger(), EnergyLedger()
    fine.add(device(times, counter=counter, counter_unit_j=unit))
    coarse.add(device([times[0], times[-1]], counter=[counter[0], counter[-1]], counter_unit_j=unit))
    assert fine.totals().energy_uj == coarse.totals().energy_uj


# --- where a run begins, ends and goes on, with counters that wrap, begin again and go away ---


class Mark(NamedTuple):
    """A run that begins (or goes on) or ends at a time."""

    begins: bool
    time: float


marks = st.lists(st.tuples(st.booleans(), st.floats(0, 60)), max_size=4)


def folded(trace: Trace, marked: list[tuple[int, Mark]], cuts: set[int]) -> EnergyLedger:
    """A ledger that is told of each mark after so many readings, and written down at each cut."""
    ledger = EnergyLedger()
    at = 0
    for cut in sorted({*cuts, *(place for place, _ in marked), len(trace.rows)}):
        ledger.add(trace.part(at, cut))
        at = cut
        for place, mark in marked:
            if place == cut and mark.begins:
                ledger.open("boot1", T0 + mark.time)
            elif place == cut:
                ledger.close(T0 + mark.time)
        ledger = restored(ledger)
    return ledger


@settings(deadline=None, max_examples=60)
@given(traces(), marks, st.data())
def test_whatever_happens_the_parts_add_up(
    made: list[Trace], ends: list[tuple[bool, float]], data: st.DataObject
) -> None:
    trace = made[0]
    places = st.integers(0, len(trace.rows))
    marked = [(data.draw(places), Mark(*end)) for end in ends]
    whole_ = folded(trace, marked, set())
    cut = folded(trace, marked, data.draw(st.sets(places, max_size=5)))
    assert cut.rows() == whole_.rows()
    assert cut.parts == whole_.parts
    for row in whole_.rows():
        assert 0 <= row.tally.low_uj <= row.tally.energy_uj <= row.tally.high_uj
        assert 0 <= row.tally.estimated_low_uj <= row.tally.estimated_uj <= row.tally.estimated_high_uj
        assert row.tally.measured_us >= 0
        assert row.tally.gap_us >= 0
    total_uj = whole_.totals().energy_uj or 0
    assert sum(row.tally.energy_uj for row in whole_.rows()) == total_uj
    assert sum(energy_uj for _, energy_uj in whole_.by_hour()) == total_uj
    curve = whole_.parts.curve
    for bins in (curve.seconds, curve.minutes):
        assert sum(bins.energy_uj) + bins.earlier.total_uj == total_uj


@settings(deadline=None, max_examples=60)
@given(traces(), st.floats(0, 30), st.floats(0, 30), st.data())
def test_ends_heard_of_with_the_first_or_the_last_readings_are_the_same_ends(
    made: list[Trace], begin: float, length: float, data: st.DataObject
) -> None:
    trace = made[0]
    end = max(0.0, trace.rows[-1][0] - data.draw(st.floats(0, 4)))
    marks_ = [Mark(True, min(begin, end)), Mark(False, end)]
    early = folded(trace, [(0, mark) for mark in marks_], set())
    late = folded(trace, [(0, marks_[0]), (len(trace.rows), marks_[1])], set())
    assert early.totals().energy_uj == late.totals().energy_uj
    assert early.totals().gap_us == late.totals().gap_us
