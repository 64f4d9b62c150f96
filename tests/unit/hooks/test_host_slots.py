"""Memory in which the arrival of a copy can be seen."""

from __future__ import annotations

import math

import pytest
import torch

from trimtab.capture.host_slots import MARKERS, Slots
from trimtab.testing_device import PretendedRuntime

DTYPES = list(MARKERS)


@pytest.fixture
def runtime() -> PretendedRuntime:
    return PretendedRuntime()


@pytest.fixture
def slots(runtime: PretendedRuntime) -> Slots:
    return Slots(runtime.host_memory)


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_full_when_every_value_has_come(slots: Slots, dtype: torch.dtype) -> None:
    values = torch.tensor([math.nan, -math.inf, 0.0], dtype=dtype)
    slots.provide(dtype, 3)
    slot = slots.pop(dtype, 3)
    assert slot is not None
    for index in range(3):
        assert not slot.is_full(3)
        slot.values[index] = values[index]
    assert slot.is_full(3)
    slots.push(slot)
    assert not slot.is_full(3)
    assert not slot.is_full(1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_marker_is_a_nan_that_no_arithmetic_yields(dtype: torch.dtype) -> None:
    of_bits, marker = MARKERS[dtype]
    assert of_bits.itemsize == dtype.itemsize
    marked = torch.tensor([marker], dtype=of_bits).view(dtype)
    infinite = torch.tensor([math.inf], dtype=dtype)
    assert marked.isnan().all()
    for nan in (marked + 1, infinite - infinite, infinite * 0, torch.tensor([math.nan], dtype=dtype)):
        assert nan.isnan().all()
        assert nan.view(of_bits).item() != marker


def test_sizes_share_slots(slots: Slots, runtime: PretendedRuntime) -> None:
    for size in range(1, 1025):
        slots.provide(torch.float32, size)
    assert runtime.slabs == 11
    three = slots.pop(torch.float32, 3)
    assert three is not None
    assert three.values.shape == (4,)


def test_when_all_are_in_use_there_is_none(slots: Slots) -> None:
    wide = (torch.float32, 1000)
    slots.provide(*wide)
    taken = [slots.pop(*wide) for _ in range(5)]
    assert [slot is None for slot in taken] == [False] * 4 + [True]
    first = taken[0]
    assert first is not None
    slots.push(first)
    assert slots.pop(*wide) is first


def test_slots_made_in_inference_mode_can_be_written_to_outside_it(slots: Slots) -> None:
    one = torch.zeros(1)
    with torch.inference_mode():
        slots.provide(torch.float32, 1)
    slot = slots.pop(torch.float32, 1)
    assert slot is not None
    slot.values.copy_(one)
    slots.push(slot)
