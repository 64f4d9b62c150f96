"""Rows whose values are still being computed: in order, without waiting, bounded."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from trimtab.capture.bundle import Bundle
from trimtab.capture.copies import LateCopier, Transfer
from trimtab.capture.deferred import LATE, WAKE_AT, DeferredReader
from trimtab.capture.taking import IN_CAPTURE, UNREADABLE, RowValues
from trimtab.guard import Tally
from trimtab.vocabulary import NOT_MEASURED, is_measured


class Arrival(Transfer):
    """A copy that arrives when it is told to; reading it before would have waited, and is counted."""

    def __init__(self, names: tuple[str, ...], values: list[float]) -> None:
        self.names = names
        self.begun = self.arrived = self.dropped = False
        self.waits = 0
        self._values = values

    def begin(self) -> bool:
        self.begun = True
        return True

    def done(self) -> bool:
        return self.arrived

    def values(self) -> Mapping[str, float]:
        self.waits += not self.arrived
        return dict(zip(self.names, self._values, strict=True))

    def drop(self) -> bool:
        self.dropped = self.arrived
        return self.arrived


class Device:
    """Stands in for an accelerator: its tensors are on `meta`, where any read of a value raises."""

    def __init__(self) -> None:
        self.held: dict[int, list[float]] = {}
        self.arrivals: list[Arrival] = []
        self.capturing = False

    def tensor(self, *values: float) -> Tensor:
        tensor = torch.empty(() if len(values) == 1 else (len(values),), device="meta")
        self.held[id(tensor)] = list(values)
        return tensor

    def take(self, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]) -> list[Transfer] | None:
        if self.capturing:
            return None
        names = (*tensors, *(name for bundle in bundles for name in bundle.names))
        every = [*tensors.values(), *(bundle.tensor for bundle in bundles)]
        self.arrivals.append(Arrival(names, [value for each in every for value in self.held[id(each)]]))
        return [self.arrivals[-1]]

    def arrive(self) -> None:
        for arrival in self.arrivals:
            arrival.arrived = True

    @property
    def waits(self) -> int:
        return sum(arrival.waits for arrival in self.arrivals)


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def drops() -> Tally:
    return Tally()


@pytest.fixture
def reader(device: Device, drops: Tally) -> DeferredReader:
    return DeferredReader(drops, lambda _: device, capacity=4)


def row(step: int, *bundles: Bundle, **values: Any) -> RowValues:
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    return RowValues(step, float(step), 0, values | dict.fromkeys(tensors, NOT_MEASURED), tensors, bundles)


def ready(reader: DeferredReader) -> list[dict[str, Any]]:
    reader.fetch()
    return [each.values for each in reader.ready()]


def steps(reader: DeferredReader) -> list[int]:
    reader.fetch()
    return [each.step for each in reader.ready()]


def test_numbers_are_ready_at_once(reader: DeferredReader) -> None:
    reader.submit(row(1, loss=2.5, tokens=7.0))
    assert ready(reader) == [{"loss": 2.5, "tokens": 7.0}]


def test_a_row_comes_out_when_its_copy_has_arrived(reader: DeferredReader, device: Device) -> None:
    reader.submit(row(1, loss=device.tensor(2.5), lr=0.1))
    assert ready(reader) == []
    device.arrive()
    assert ready(reader) == [{"loss": 2.5, "lr": 0.1}]
    assert device.waits == 0


def test_whoever_submits_does_not_begin_a_copy(reader: DeferredReader, device: Device) -> None:
    reader.submit(row(1, loss=device.tensor(2.5)))
    assert (list(reader.ready()), device.arrivals[0].begun) == ([], False)
    reader.fetch()
    assert device.arrivals[0].begun


def test_one_copy_takes_all_the_values_of_a_row(reader: DeferredReader, device: Device) -> None:
    beside = Bundle(("a", "b"), device.tensor(3.0, 4.0))
    reader.submit(row(1, beside, loss=device.tensor(2.5), grad_norm=device.tensor(math.inf)))
    assert len(device.arrivals) == 1
    device.arrive()
    assert ready(reader) == [{"loss": 2.5, "grad_norm": math.inf, "a": 3.0, "b": 4.0}]


def test_rows_keep_their_order(reader: DeferredReader, device: Device) -> None:
    reader.submit(row(1, loss=device.tensor(1.0)))
    reader.submit(row(2, loss=2.0))
    reader.submit(row(3, loss=device.tensor(3.0)))
    device.arrivals[1].arrived = True
    assert steps(reader) == []
    device.arrivals[0].arrived = True
    assert steps(reader) == [1, 2, 3]
    assert (device.waits, len(reader)) == (0, 0)


def test_rows_may_be_had_a_few_at_a_time(reader: DeferredReader) -> None:
    for step in (1, 2, 3):
        reader.submit(row(step, loss=float(step)))
    reader.fetch()
    assert [each.step for each in reader.ready(most=2)] == [1, 2]
    assert (reader.has_arrived, len(reader)) == (True, 1)
    assert [each.step for each in reader.ready(most=2)] == [3]
    assert not reader.has_arrived


def test_it_is_told_whether_there_was_something_to_do(reader: DeferredReader, device: Device) -> None:
    reader.submit(row(1, loss=device.tensor(1.0)))
    assert [reader.fetch(), reader.fetch()] == [True, False]
    device.arrive()
    assert [reader.fetch(), reader.fetch()] == [True, False]


def test_a_row_beyond_the_capacity_is_dropped_and_counted(
    reader: DeferredReader, device: Device, drops: Tally
) -> None:
    for step in range(1, 7):
        reader.submit(row(step, loss=device.tensor(float(step))))
    assert (len(reader), drops.take(), device.waits) == (4, {(LATE, ""): 2}, 0)
    device.arrive()
    assert steps(reader) == [1, 2, 3, 4]


def test_whoever_fetches_is_called_before_there_are_too_many(drops: Tally) -> None:
    calls: list[int] = []
    asked = DeferredReader(drops, wake=lambda: calls.append(1))
    for step in range(1, 2 * WAKE_AT):
        asked.submit(row(step, loss=1.0))
        assert len(calls) == (step >= WAKE_AT)


def test_a_step_within_a_capture_keeps_what_the_host_knows(
    reader: DeferredReader, device: Device, drops: Tally, caplog: pytest.LogCaptureFixture
) -> None:
    device.capturing = True
    for step in (1, 2):
        beside = Bundle(("a", "b"), device.tensor(3.0, 4.0))
        reader.submit(row(step, beside, loss=device.tensor(2.5), lr=0.1))
    first, second = ready(reader)
    assert first["lr"] == second["lr"] == 0.1
    assert not any(is_measured(first[name]) for name in ("loss", "a", "b"))
    assert drops.take() == {(IN_CAPTURE, ""): 6}
    assert [record.getMessage() for record in caplog.records if "CUDA graph" in record.getMessage()][1:] == []


def test_finishing_waits_for_what_is_under_way(drops: Tally) -> None:
    class Late(Arrival):
        polls = 0

        def done(self) -> bool:
            self.polls += 1
            return self.polls > 3

    class LateDevice(Device):
        def take(self, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]) -> list[Transfer]:
            return [Late((name,), self.held[id(tensor)]) for name, tensor in tensors.items()]

    late = LateDevice()
    reader = DeferredReader(drops, lambda _: late)
    reader.submit(row(1, loss=late.tensor(1.0)))
    assert [each.values for each in reader.finish(timeout_s=60.0)] == [{"loss": 1.0}]
    assert drops.take() == {}


def test_what_never_arrives_is_dropped_at_the_end(
    reader: DeferredReader, device: Device, drops: Tally
) -> None:
    reader.submit(row(1, loss=device.tensor(1.0)))
    reader.submit(row(2, loss=2.0))
    assert list(reader.finish(timeout_s=0.0)) == []
    assert (len(reader), drops.take()) == (0, {(LATE, ""): 2})
    reader.submit(row(3, loss=3.0))
    assert steps(reader) == [3]
    assert not device.arrivals[0].dropped, "its copy may still write"
    device.arrive()
    reader.fetch()
    assert device.arrivals[0].dropped


def test_a_fetch_beside_another_does_nothing(reader: DeferredReader, device: Device) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(Arrival):
        def begin(self) -> bool:
            entered.set()
            return leave.wait(20)

    class SlowDevice(Device):
        def take(self, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]) -> list[Transfer]:
            return [Slow(("loss",), [1.0])]

    reader = DeferredReader(Tally(), lambda _: SlowDevice())
    reader.submit(row(1, loss=device.tensor(1.0)))
    drainer = threading.Thread(target=reader.fetch)
    drainer.start()
    assert entered.wait(20)
    assert reader.fetch(), "the other one is at it"
    reader.submit(row(2, loss=2.0))
    assert list(reader.ready()) == []
    leave.set()
    drainer.join(20)
    assert len(reader) == 2


def test_rows_of_another_thread_come_out_once_and_in_order(device: Device) -> None:
    reader = DeferredReader(Tally(), lambda _: LateCopier(torch.device("cpu")), capacity=10_000)
    submitted = threading.Event()

    def submit() -> None:
        for step in range(2000):
            reader.submit(row(step, Bundle(("a",), torch.tensor([float(step)]))))
        submitted.set()

    fetched: list[int] = []
    fetching = threading.Event()

    def fetch() -> None:
        while not (submitted.is_set() and fetching.is_set()):
            reader.fetch()

    threads = [threading.Thread(target=submit), threading.Thread(target=fetch)]
    for thread in threads:
        thread.start()
    threads[0].join(30)
    for each in reader.finish(30):
        assert each.values == {"a": float(each.step)}
        fetched.append(each.step)
    fetching.set()
    threads[1].join(30)
    assert fetched == list(range(2000))


class PickyDevice(Device):
    """A device that raises for a copy with a tensor that it cannot convert."""

    def take(self, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]) -> list[Transfer] | None:
        if any(tensor.is_complex() for tensor in tensors.values()):
            raise UserWarning("Casting complex values to real discards the imaginary part")
        return super().take(tensors, bundles)


def test_a_value_that_cannot_be_copied_costs_itself_only(caplog: pytest.LogCaptureFixture) -> None:
    device = PickyDevice()
    drops = Tally()
    reader = DeferredReader(drops, lambda _: device)
    odd = torch.empty((), device="meta", dtype=torch.complex64)
    beside = Bundle(("a", "b"), device.tensor(3.0, 4.0))
    reader.submit(row(1, beside, loss=math.nan, grad_norm=device.tensor(2.0), odd=odd))
    device.arrive()
    (values,) = ready(reader)
    assert math.isnan(values["loss"])
    assert (values["grad_norm"], values["a"], values["b"]) == (2.0, 3.0, 4.0)
    assert not is_measured(values["odd"])
    assert "odd is left out" in caplog.text
    assert drops.take() == {(UNREADABLE, "odd"): 1}


def test_what_is_known_of_names_that_change_does_not_grow(caplog: pytest.LogCaptureFixture) -> None:
    device = PickyDevice()
    drops = Tally()
    reader = DeferredReader(drops, lambda _: device)
    for step in range(200):
        reader.submit(row(step, **{f"odd{step}": torch.empty((), device="meta", dtype=torch.complex64)}))
    assert len(caplog.records) == 64
    assert sum(drops.take().values()) == 200


@pytest.mark.parametrize("fails", ["begin", "values"])
def test_a_copy_that_fails_costs_its_own_values_only(fails: str, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Arrival):
        def begin(self) -> bool:
            return not self._fail("begin")

        def values(self) -> Mapping[str, float]:
            self._fail("values")
            return super().values()

        def _fail(self, where: str) -> bool:
            if where == fails:
                raise RuntimeError("the device is gone")
            return False

    class FailingDevice(Device):
        def take(self, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]) -> list[Transfer]:
            self.arrivals += [Failing(tuple(tensors), [1.0] * len(tensors)), Arrival(("a",), [2.0])]
            return [*self.arrivals]

    device = FailingDevice()
    reader = DeferredReader(Tally(), lambda _: device)
    reader.submit(row(1, loss=device.tensor(1.0), lr=0.5))
    device.arrive()
    (values,) = ready(reader)
    assert (values["lr"], values["a"], is_measured(values["loss"])) == (0.5, 2.0, False)
    assert "loss is left out, and counted: the device is gone" in caplog.text
