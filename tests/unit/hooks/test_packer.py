"""Rows of any sets of names become columns, and not a bit of a value is lost on the way."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import wire
from trimtab.guard import Tally
from trimtab.outbound.packer import MAX_ROWS, Part, parts
from trimtab.outbound.recorder import BAD_NAME, TOO_MANY_SETS, Recorder
from trimtab.outbound.records import (
    MAX_NAME_CHARACTERS,
    MAX_SETS,
    MAX_SETS_CHARACTERS,
    STANDARD_NAMES,
    MetricSets,
)
from trimtab.outbound.ring import Ring, RingReader
from trimtab.outbound.ring_writer import RingWriter

MIB = 2**20


class Path:
    """A ring with a recorder before it and a packer behind it."""

    def __init__(self, capacity: int = MIB) -> None:
        self.alarms = 0
        self.drops = Tally()
        self.ring = Ring.anonymous(capacity)
        self.sets = MetricSets(lambda kind, names: None)
        self.recorder = Recorder(RingWriter(self.ring, lambda: None), self.sets, self.drops, self._alarm)

    def _alarm(self) -> None:
        self.alarms += 1

    def parts(self, base_attempt: int = 0) -> list[Part]:
        reader = RingReader(self.ring)
        return list(parts(reader.stretches(reader.tail), self.sets.names, base_attempt))


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


NAMES = st.sampled_from([*STANDARD_NAMES, "eval_loss", "grad_norm/head", "grad_norm/body"])
VALUES = st.one_of(
    st.floats(), st.just(wire.NOT_MEASURED), st.sampled_from([math.nan, -math.nan, math.inf, -math.inf])
)
ROWS = st.lists(st.tuples(st.dictionaries(NAMES, VALUES), st.integers(0, 2)), max_size=80)


@given(ROWS, st.integers(0, 5))
def test_every_bit_of_every_value_arrives_at_its_step(
    rows: list[tuple[dict[str, float], int]], base: int
) -> None:
    path = Path()
    attempts = sorted(attempt for _, attempt in rows)
    for step, ((values, _), attempt) in enumerate(zip(rows, attempts, strict=True)):
        path.recorder.attempt = attempt
        path.recorder.row(step, float(step), values)
    found = path.parts(base)
    assert [part.attempt for part in found] == [base + attempt for attempt in sorted(set(attempts))]
    batches = [wire.decode(wire.encode(part.batch(0, 0))) for part in found]
    assert [step for batch in batches for step in batch.step] == list(range(len(rows)))
    for batch in batches:
        for row, step in enumerate(batch.step):
            given_values = rows[step][0]
            for name in {*batch.metrics, *given_values}:
                got = batch.metrics[name][row] if name in batch.metrics else wire.NOT_MEASURED
                assert bits(got) == bits(given_values.get(name, wire.NOT_MEASURED))


def test_the_fast_path_writes_the_same_row() -> None:
    fast, slow = Path(), Path()
    fast.recorder.standard(7, 1.5, 2.0, math.nan, 1e-3, 0.25, wire.NOT_MEASURED)
    values = {"loss": 2.0, "grad_norm": math.nan, "lr": 1e-3, "step_seconds": 0.25}
    slow.recorder.row(7, 1.5, values)
    assert wire.encode(fast.parts()[0].batch(0, 0)) == wire.encode(slow.parts()[0].batch(0, 0))


def test_a_metric_that_no_row_measured_is_left_out() -> None:
    path = Path()
    path.recorder.row(1, 1.0, {"loss": 1.0})
    assert set(path.parts()[0].batch(0, 0).metrics) == {"loss"}


def test_events_keep_their_place_between_attempts() -> None:
    path = Path()
    path.recorder.row(1, 1.0, {"loss": 1.0})
    path.recorder.event({"kind": "phase", "step": 1, "time": 1.0, "phase": "eval"})
    path.recorder.attempt = 1
    path.recorder.event({"kind": "command_applied", "step": 0, "time": 2.0})
    path.recorder.row(1, 3.0, {"loss": 1.0})
    found = [
        (part.attempt, list(part.step), [event["kind"] for event in part.events]) for part in path.parts()
    ]
    assert found == [(0, [1], ["phase"]), (1, [1], ["command_applied"])]


def test_a_long_run_is_cut_into_batches_of_bounded_size() -> None:
    path = Path(8 * MIB)
    for step in range(5 * MAX_ROWS // 2):
        path.recorder.standard(step, float(step), 1.0, 1.0, 1.0, 1.0, 1.0)
    found = path.parts()
    assert [step for part in found for step in part.step] == list(range(5 * MAX_ROWS // 2))
    assert all(len(wire.encode(part.batch(0, 0))) < 2 * MIB for part in found)


def test_wide_and_ever_changing_rows_are_cut_by_bytes() -> None:
    path = Path(32 * MIB)
    for step in range(300):
        path.recorder.row(step, float(step), {f"wide_{i}": 1.0 for i in range(1000)})
    for step in range(300, 1000):
        path.recorder.row(step, float(step), {f"odd_{step}": 1.0})
    found = path.parts()
    assert [step for part in found for step in part.step] == list(range(1000))
    assert all(len(wire.encode(part.batch(0, 0))) < 2 * MIB for part in found)
    ends = [part.end for part in found]
    reader = RingReader(path.ring)
    after_first = list(parts(reader.stretches(ends[0]), path.sets.names, 0))
    assert after_first[0].step[0] == found[1].step[0]
    assert sum(len(part.step) for part in after_first) == 1000 - len(found[0].step)


def test_a_name_that_the_wire_refuses_costs_its_own_values_only(caplog: pytest.LogCaptureFixture) -> None:
    path = Path()
    bad: list[Any] = ["", 7, "x" * 513, "\ud800"]
    for step in (1, 2):
        path.recorder.row(step, 1.0, {"loss": math.nan, "good": 2.0} | dict.fromkeys(bad, 1.0))
    (part,) = path.parts()
    batch = wire.decode(wire.encode(part.batch(0, 0)))
    assert list(batch.step) == [1, 2]
    assert set(batch.metrics) == {"loss", "good"}
    assert path.drops.take() == {(BAD_NAME, ""): 8}
    assert caplog.text.count(BAD_NAME) == 1


def test_rows_whose_names_were_lost_are_counted() -> None:
    path = Path()
    path.recorder.row(1, 1.0, {"loss": 1.0})
    path.recorder.row(2, 2.0, {"loss": 1.0, "odd": 1.0})
    del path.sets.names[3]
    (part,) = path.parts()
    assert (list(part.step), part.unnamed) == ([1], 1)


def test_names_that_never_repeat_are_dropped_and_counted_not_kept_for_ever() -> None:
    path = Path(8 * MIB)
    for step in range(MAX_SETS + 5):
        path.recorder.row(step, 1.0, {f"metric_{step}": 1.0})
    assert path.drops.take() == {(TOO_MANY_SETS, ""): 6}
    assert sum(len(part.step) for part in path.parts()) == MAX_SETS + 5, "their loss goes on"


def test_sets_whose_names_are_too_long_together_are_dropped_and_counted() -> None:
    path = Path(8 * MIB)
    names = [f"{number:0{MAX_NAME_CHARACTERS}}" for number in range(1000)]
    rows = MAX_SETS_CHARACTERS // (MAX_NAME_CHARACTERS * 999) + 5
    for step in range(rows):
        path.recorder.row(step, 1.0, dict.fromkeys([*names[:step], *names[step + 1 :]], 1.0))
    (dropped,) = path.drops.take().items()
    assert dropped[0] == (TOO_MANY_SETS, "")
    assert 0 < dropped[1] <= 5
    path.recorder.row(rows, 1.0, dict.fromkeys(names[1:], 1.0))
    assert not path.drops.take(), "those that are known go on"


def alarms_of(values: dict[str, Any]) -> int:
    path = Path()
    path.recorder.loss_limit = 5.0
    path.recorder.row(1, 1.0, values)
    return path.alarms


def test_what_cannot_wait_raises_an_alarm() -> None:
    assert [alarms_of({"loss": value}) for value in (math.nan, math.inf, -math.inf, 5.0)] == [1, 1, 1, 1]
    assert alarms_of({"loss": 1.0, "grad_norm": math.nan}) == 1
    assert [alarms_of(values) for values in ({"loss": 4.9}, {}, {"lr": math.nan})] == [0, 0, 0]
    path = Path()
    path.recorder.standard(1, 1.0, 1.0, math.inf, 1.0, 1.0, 1.0)
    assert path.alarms == 1
