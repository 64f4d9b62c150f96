"""Devices without pinned copies, and which device is copied from how."""

from __future__ import annotations

import math

import pytest
import torch

from trimtab.capture import copies
from trimtab.capture.bundle import Bundle
from trimtab.capture.copies import LateCopier, Transfer, copier_for
from trimtab.vocabulary import is_measured

HOST = torch.device("cpu")


def taken(tensors: dict[str, torch.Tensor], *bundles: Bundle) -> Transfer:
    transfers = LateCopier(HOST).take(tensors, bundles)
    assert transfers is not None
    (transfer,) = transfers
    return transfer


def test_it_is_read_when_it_is_asked_for_again() -> None:
    beside = Bundle(("a", "b"), torch.tensor([1.0, 2.0]))
    transfer = taken({"loss": torch.tensor([1.5]), "grad_norm": torch.tensor(math.nan)}, beside)
    assert [transfer.begin(), transfer.done(), transfer.done()] == [True, False, True]
    values = dict(transfer.values())
    assert math.isnan(values.pop("grad_norm"))
    assert values == {"loss": 1.5, "a": 1.0, "b": 2.0}
    assert transfer.names == ("loss", "grad_norm", "a", "b")


def test_a_value_that_is_overwritten_later_is_the_one_it_was() -> None:
    loss = torch.tensor(1.5)
    transfer = taken({"loss": loss})
    loss.zero_()
    assert transfer.values() == {"loss": 1.5}


def test_a_value_that_cannot_be_read_costs_itself_only() -> None:
    unreadable = Bundle(("a", "b"), torch.empty(2, device="meta"))
    values = taken(
        {"loss": torch.tensor(math.inf), "aux": torch.empty((), device="meta")}, unreadable
    ).values()
    assert values["loss"] == math.inf
    assert not any(is_measured(values[name]) for name in ("aux", "a", "b"))


@pytest.mark.parametrize("device", ["mps", "xpu", "meta"])
def test_what_nobody_has_spoken_for_is_read_late(device: str) -> None:
    assert isinstance(copier_for(torch.device(device)), LateCopier)


def test_a_device_type_can_be_spoken_for() -> None:
    class OfMine(LateCopier):
        pass

    copies.register("hpu", OfMine)
    try:
        assert isinstance(copier_for(torch.device("hpu:3")), OfMine)
    finally:
        copies.register("hpu", None)
    assert not isinstance(copier_for(torch.device("hpu:3")), OfMine)
