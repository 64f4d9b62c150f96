"""What counts as a number, and what is told of what does not."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from trimtab.capture.scalars import NotANumberError, as_float, is_on_device


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (True, 1.0),
        (Fraction(1, 4), 0.25),
        (Decimal("0.5"), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.array(2.5), 2.5),
        (np.array([[2.5]]), 2.5),
        (torch.tensor(1.5), 1.5),
        (torch.tensor([1.5]), 1.5),
        (torch.tensor(2.0, requires_grad=True) * 2, 4.0),
        (torch.tensor(1.5, dtype=torch.bfloat16), 1.5),
        (torch.tensor(math.inf), math.inf),
    ],
)
def test_one_number_in_any_wrapping_is_read(value: Any, number: float) -> None:
    assert as_float(value) == number


def test_a_nan_stays_one() -> None:
    assert math.isnan(as_float(np.float64("nan")))


@pytest.mark.parametrize(
    "value",
    [
        "1.0",
        b"1",
        None,
        object(),
        [1.0],
        {},
        1j,
        10**400,
        np.zeros(2),
        torch.zeros(3),
        torch.zeros(0),
        Exception,
    ],
)
def test_what_is_no_number_says_what_to_pass(value: Any) -> None:
    with pytest.raises(NotANumberError, match="pass"):
        as_float(value)


class Hostile:
    """A value whose own code fails in a way that nobody foresees."""

    def __float__(self) -> float:
        raise LookupError("mine")


@pytest.mark.parametrize(
    "value", [Hostile(), np.complex64(1), torch.tensor(1j), torch.empty((), device="meta")]
)
def test_whatever_a_value_raises_makes_it_no_number(value: Any) -> None:
    with pytest.raises(NotANumberError, match="pass one number"):
        as_float(value)


def test_only_what_would_have_to_be_waited_for_is_on_a_device() -> None:
    assert is_on_device(torch.empty((), device="meta"))
    assert not is_on_device(torch.empty((2,), device="meta"))
    assert not any(map(is_on_device, (1.0, None, torch.tensor(1.0), np.float32(1.0))))
