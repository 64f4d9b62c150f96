"""What holds for any readings: cut into batches anyhow, repeated, the ledger written down between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.ledger import EnergyLedger
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
        covered = sum(span.last.time_us - span.start_us for span in stream.spans)
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
