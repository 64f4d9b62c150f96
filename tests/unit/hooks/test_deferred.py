"""Rows whose values are still being computed: in order, without waiting, bounded."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from trimtab.capture.deferred import DeferredReader, LateCopier, RowValues, Transfer
from trimtab.vocabulary import is_measured


class Arrival:
    """A copy that arrives when it is told to; reading it before would have waited, and is counted."""

    def __init__(self, values: list[float]) -> None:
        self.arrived = False
        self.waits = 0
        self._values = values

    def done(self) -> bool:
        return self.arrived

    def values(self) -> list[float]:
        self.waits += not self.arrived
        return self._values


class Device:
    """Stands in for an accelerator: its tensors are on `meta`, where any read of a value raises."""

    def __init__(self) -> None:
        self.values: dict[int, float] = {}
        self.arrivals: list[Arrival] = []

    def tensor(self, value: float) -> Tensor:
        tensor = torch.empty((), device="meta")
        self.values[id(tensor)] = value
        return tensor

    def start(self, tensors: Sequence[Tensor]) -> Transfer:
        self.arrivals.append(Arrival([self.values[id(tensor)] for tensor in tensors]))
        return self.arrivals[-1]

    @property
    def waits(self) -> int:
        return sum(arrival.waits for arrival in self.arrivals)


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def reader(device: Device) -> DeferredReader:
    return DeferredReader(lambda _: device, capacity=4)


def row(step: int, **values: Any) -> RowValues:
    return RowValues(step, time=float(step), attempt=0, values=values)


def steps(reader: DeferredReader) -> list[int]:
    return [ready.step for ready in reader.ready()]


def test_numbers_are_ready_at_once(reader: DeferredReader) -> None:
    import numpy

    reader.submit(row(1, loss=2.5, tokens=7, lr=numpy.float32(0.5), grad_norm=torch.tensor(3.0)))
    (ready,) = reader.ready()
    assert ready.values == {"loss": 2.5, "tokens": 7.0, "lr": 0.5, "grad_norm": 3.0}
    assert all(type(value) is float for value in ready.values.values())


def test_a_tensor_with_a_gradient_history_is_read(reader: DeferredReader) -> None:
    reader.submit(row(1, loss=(torch.ones(1, requires_grad=True) * 2).sum()))
    assert [ready.values for ready in reader.ready()] == [{"loss": 2.0}]


def test_a_row_comes_out_when_its_copy_has_arrived(reader: DeferredReader, device: Device) -> None:
    reader.submit(row(1, loss=device.tensor(2.5), lr=0.1))
    assert steps(reader) == []
    device.arrivals[0].arrived = True
    assert [ready.values for ready in reader.ready()] == [{"lr": 0.1, "loss": 2.5}]
    assert device.waits == 0


def test_one_copy_takes_all_the_values_of_a_row(reader: DeferredReader, device: Device) -> None:
    reader.submit(row(1, loss=device.tensor(2.5), grad_norm=device.tensor(math.inf)))
    (arrival,) = device.arrivals
    arrival.arrived = True
    assert [ready.values for ready in reader.ready()] == [{"loss": 2.5, "grad_norm": math.inf}]


def test_rows_keep_their_order(reader: DeferredReader, device: Device) -> None:
    reader.submit(row(1, loss=device.tensor(1.0)))
    reader.submit(row(2, loss=2.0))
    reader.submit(row(3, loss=device.tensor(3.0)))
    device.arrivals[1].arrived = True
    assert steps(reader) == []
    device.arrivals[0].arrived = True
    assert steps(reader) == [1, 2, 3]
    assert device.waits == 0


def test_a_row_beyond_the_capacity_is_dropped_and_counted(reader: DeferredReader, device: Device) -> None:
    for step in range(1, 7):
        reader.submit(row(step, loss=device.tensor(float(step))))
    assert (len(reader), reader.dropped, device.waits) == (4, 2, 0)
    for arrival in device.arrivals:
        arrival.arrived = True
    assert steps(reader) == [1, 2, 3, 4]


def test_finishing_waits_for_what_is_under_way(device: Device) -> None:
    class Late(Arrival):
        polls = 0

        def done(self) -> bool:
            self.polls += 1
            return self.polls > 3

    class LateDevice(Device):
        def start(self, tensors: Sequence[Tensor]) -> Transfer:
            return Late([self.values[id(tensor)] for tensor in tensors])

    late = LateDevice()
    reader = DeferredReader(lambda _: late)
    reader.submit(row(1, loss=late.tensor(1.0)))
    assert [ready.values for ready in reader.finish(timeout_s=60.0)] == [{"loss": 1.0}]
    assert reader.dropped == 0


def test_what_never_arrives_is_dropped_at_the_end(reader: DeferredReader, device: Device) -> None:
    reader.submit(row(1, loss=device.tensor(1.0)))
    reader.submit(row(2, loss=2.0))
    assert list(reader.finish(timeout_s=0.0)) == []
    assert (len(reader), reader.dropped) == (0, 2)


def test_none_is_not_a_value(reader: DeferredReader) -> None:
    reader.submit(row(1, loss=1.0, grad_norm=None))
    assert [ready.values for ready in reader.ready()] == [{"loss": 1.0}]


@pytest.mark.parametrize(
    "value", [torch.ones(4), torch.empty(4, device="meta"), "2.5", [1.0], object(), 10**400]
)
def test_what_is_not_one_number_is_left_out_and_told_once(
    reader: DeferredReader, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    with caplog.at_level(logging.WARNING):
        reader.submit(row(1, loss=1.0, odd=value))
        reader.submit(row(2, odd=value))
    assert [ready.values for ready in reader.ready()] == [{"loss": 1.0}, {}]
    assert len(caplog.records) == 1
    assert "odd is left out" in caplog.text


def test_a_device_without_pinned_copies_is_read_a_step_later() -> None:
    transfer = LateCopier().start([torch.tensor(1.5), torch.tensor(math.nan)])
    assert not transfer.done()
    assert transfer.done()
    first, second = transfer.values()
    assert first == 1.5
    assert math.isnan(second)


def test_a_value_that_is_overwritten_later_is_the_one_it_was() -> None:
    loss = torch.tensor(1.5)
    transfer = LateCopier().start([loss])
    loss.zero_()
    assert transfer.values() == [1.5]


class PickyDevice(Device):
    """A device that raises for a copy with a tensor that it cannot convert."""

    def start(self, tensors: Sequence[Tensor]) -> Transfer:
        if any(tensor.is_complex() for tensor in tensors):
            raise UserWarning("Casting complex values to real discards the imaginary part")
        return super().start(tensors)


def test_a_value_that_cannot_be_copied_costs_itself_only(caplog: pytest.LogCaptureFixture) -> None:
    device = PickyDevice()
    reader = DeferredReader(lambda _: device)
    odd = torch.empty((), device="meta", dtype=torch.complex64)
    reader.submit(row(1, loss=math.nan, grad_norm=device.tensor(2.0), odd=odd))
    device.arrivals[0].arrived = True
    (ready,) = reader.ready()
    assert math.isnan(ready.values["loss"])
    assert ready.values["grad_norm"] == 2.0
    assert not is_measured(ready.values["odd"])
    assert "odd is left out" in caplog.text


def test_a_late_value_that_cannot_be_read_costs_itself_only() -> None:
    reader = DeferredReader(lambda _: LateCopier())
    reader.submit(row(1, loss=math.inf, aux=torch.empty((), device="meta")))
    (ready,) = reader.finish(5.0)
    assert ready.values["loss"] == math.inf
    assert not is_measured(ready.values["aux"])
