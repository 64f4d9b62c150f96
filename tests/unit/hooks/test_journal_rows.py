"""A row is the same whichever way it takes through the journal, quick or careful."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trimtab.capture.bundle import Bundle
from trimtab.capture.optimizer import NullCapture
from trimtab.capture.step_values import StepValues
from trimtab.guard import Guard, Tally
from trimtab.journal import Journal
from trimtab.outbound.packer import Part, parts
from trimtab.outbound.recorder import Recorder
from trimtab.outbound.records import MetricSets
from trimtab.outbound.ring import Ring, RingReader
from trimtab.outbound.ring_writer import RingWriter
from trimtab.steady_clock import SteadyClock
from trimtab.vocabulary import NOT_MEASURED, is_measured

THREE = {"loss": 2.5, "grad_norm": 1.0, "lr": 1e-3}


class Told:
    """A journal with its ring, and the rows that come out of it."""

    def __init__(self, capture: NullCapture | None = None, clock: SteadyClock | None = None) -> None:
        self.alarms = 0
        self.drops = Tally()
        self.capture = capture or NullCapture()
        self._ring = Ring.anonymous(2**20)
        self._sets = MetricSets(lambda kind, names: None)
        self.recorder = Recorder(RingWriter(self._ring, lambda: None), self._sets, self.drops, self._alarm)
        values = StepValues(self.capture, NOT_MEASURED, self.drops)
        clock = clock or SteadyClock()
        told = (lambda _: None, lambda _: None)
        self.journal = Journal(self.recorder, values, 0, self.drops, Guard(), *told, clock)

    def _alarm(self) -> None:
        self.alarms += 1

    def add(self, **values: Any) -> None:
        self.journal.add(values)

    def parts(self) -> list[Part]:
        reader = RingReader(self._ring)
        return list(parts(reader.stretches(reader.tail), self._sets.names, 0))

    def rows(self) -> list[dict[str, float]]:
        """Return what was measured at each row, but for the time that a step took."""
        found = []
        for part in self.parts():
            for row, step in enumerate(part.step):
                measured = {name: column[row] for name, column in part.metrics.items()}
                found.append(
                    {"step": step}
                    | {n: v for n, v in measured.items() if is_measured(v) and n != "step_seconds"}
                )
        return found


NUMBERS: Sequence[Any] = (
    1.5,
    -0.0,
    math.inf,
    7,
    True,
    np.float64(2.0),
    torch.tensor(3.0),
    np.float32(0.5),
    Decimal("1.25"),
)
ODD: Sequence[Any] = (None, "text", 10**400, [1.0], torch.zeros(3), object())


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["loss", "lr", "grad_norm", "a", "b", "c"]), st.sampled_from([*NUMBERS, *ODD])
        ),
        max_size=12,
    )
)
def test_each_row_holds_what_of_its_values_is_a_number(rows: list[dict[str, Any]]) -> None:
    told = Told()
    for row in rows:
        told.add(**row)
    expected = [
        {"step": step} | {n: float(v) for n, v in row.items() if any(v is each for each in NUMBERS)}
        for step, row in enumerate(rows, 1)
    ]
    assert told.rows() == expected


def test_a_row_of_the_same_names_takes_the_quick_way_and_says_the_same() -> None:
    told = Told()
    for step in range(1, 5):
        told.add(**THREE, a=float(step), b=step)
    assert told.rows() == [{"step": n, **THREE, "a": float(n), "b": float(n)} for n in range(1, 5)]


@pytest.mark.parametrize("metric", ["loss", "grad_norm"])
def test_a_value_out_of_bounds_rings_the_alarm_on_the_quick_way_too(metric: str) -> None:
    told = Told()
    for _ in range(3):
        told.add(**THREE, a=1.0)
    assert told.alarms == 0
    told.add(**{**THREE, metric: math.inf}, a=1.0)
    assert told.alarms == 1


def test_rows_and_events_bear_the_times_of_one_clock() -> None:
    seconds = iter(range(100, 200))
    told = Told(clock=SteadyClock(wall=lambda: 5000.0, elapsed=lambda: float(next(seconds))))
    for _ in range(3):
        told.add(**THREE)  # the first carefully, the others quickly
    told.add(**THREE, a=1.0)
    told.journal.add_beside({"a": 2.0})
    told.journal.tell("checkpoint")
    told.journal.tell("run_end")
    found = told.parts()
    assert [time for part in found for time in part.time] == [5001.0, 5002.0, 5003.0, 5004.0, 5005.0]
    assert [event["time"] for part in found for event in part.events] == [5006.0, 5007.0]


def test_names_in_another_order_keep_their_values() -> None:
    told = Told()
    for row in ({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}, {"b": 2.0, "a": 1.0}):
        told.add(**row)
    assert told.rows() == [{"step": step, "a": 1.0, "b": 2.0} for step in range(1, 5)]


def test_a_standard_metric_by_keyword_is_not_another_metric_of_that_name() -> None:
    told = Told()
    for _ in range(3):
        told.add(**THREE, tokens=512, a=1.0)
    assert told.rows()[-1] == {"step": 3, **THREE, "tokens": 512.0, "a": 1.0}


class Share(float):
    """Stands in for a DTensor, of which a rank has a share."""

    full_tensor = None


class Measuring(NullCapture):
    """Measures the same norm at each step, until it is told that the loop gives its own."""

    norm: float | None = 5.0

    def take_grad_norm(self) -> float | None:
        return self.norm

    def stand_down(self) -> None:
        self.norm = None


def test_a_share_that_is_given_as_the_norm_does_not_end_that_it_is_measured(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told(Measuring())
    for _ in range(2):
        told.add(loss=1.0, lr=0.1, grad_norm=Share(3.0))
    told.add(loss=1.0, lr=0.1, grad_norm=4.0)
    told.add(loss=1.0, lr=0.1)
    assert [row.get("grad_norm") for row in told.rows()] == [5.0, 5.0, 4.0, None]
    assert told.drops.take() == {("not a number", "grad_norm"): 2}
    assert "pass value.full_tensor()" in caplog.text


def test_the_number_of_a_step_is_not_read_from_a_device(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.add(loss=1.0, step=torch.tensor(7))
    told.add(loss=1.0, step=torch.empty((), dtype=torch.int64, device="meta"))  # which nobody can read
    assert [row["step"] for row in told.rows()] == [7, 8]
    assert "step=a tensor on a device" in caplog.text


def test_a_bundle_of_the_host_goes_with_the_next_row_and_with_no_other() -> None:
    told = Told()
    told.add(**THREE)
    told.add(**THREE)
    told.capture.bundles.append(Bundle(("grad_norm/a", "grad_norm/b"), torch.tensor([3.0, math.nan])))
    told.add(**THREE)
    told.add(**THREE)
    rows = told.rows()
    assert rows[2]["grad_norm/a"] == 3.0
    assert math.isnan(rows[2]["grad_norm/b"])
    assert [len(row) for row in rows] == [4, 4, 6, 4]


def test_a_step_of_a_signal_handler_within_a_step_takes_no_number_twice() -> None:
    told = Told()
    stepped = 0

    def step_too(*_: object) -> None:
        nonlocal stepped
        stepped += 1
        told.add(**THREE)

    before = signal.signal(signal.SIGALRM, step_too)
    signal.setitimer(signal.ITIMER_REAL, 2e-4, 2e-4)
    try:
        for _ in range(3000):
            told.add(**THREE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    steps = [row["step"] for row in told.rows()]
    assert len(steps) == len(set(steps)), "no two rows are the same step"
    assert told.journal.number == 3000 + stepped
