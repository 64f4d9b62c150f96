"""What may be added up: no device whose energy another's holds."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from trimtab import wire
from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import device, ledger_of, rapl


def gpu(**given: Any) -> wire.Device:
    return device([0, 1], power=[100, 100], **given)


def package(**given: Any) -> wire.Device:
    return rapl([0, 1], [0, 50_000_000], **given)


def module(method: str = "power_average", **given: Any) -> wire.Device:
    return device([0, 1], power=[200, 200], component="module", uuid="module0", method=method, **given)


def model(**given: Any) -> wire.Device:
    return device([0, 1], power=[80, 80], component="host", uuid="host-model", method="model", **given)


def summed(ledger: EnergyLedger) -> set[str]:
    return {row.device for row in ledger.rows() if row.summed}


def joules(ledger: EnergyLedger) -> float | None:
    """What is told, which the curve and the rows must tell too."""
    told = ledger.totals().joules
    assert sum(row.joules or 0 for row in ledger.rows() if row.summed) == told
    assert sum(uj for _, uj in ledger.by_hour()) / 1e6 == told
    return told


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_module_covers_its_gpu_and_package_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    devices = (gpu(), package(), module())
    ledger = ledger_of(*(devices[i] for i in order))
    assert joules(ledger) == 200
    assert summed(ledger) == {"module0"}
    assert ledger.gpu_seconds() == 1


def test_a_module_covers_its_own_host_only() -> None:
    ledger = ledger_of(gpu(), module(), gpu(boot_id="boot2", uuid="GPU-2", host="node2"))
    assert joules(ledger) == 300
    assert summed(ledger) == {"module0", "GPU-2"}


def test_a_module_that_is_only_modelled_covers_nothing() -> None:
    assert summed(ledger_of(gpu(), module("model"))) == {"GPU-1", "module0"}


@pytest.mark.parametrize("first", [0, 1])
def test_a_model_of_the_host_is_not_added_to_a_measured_package(first: int) -> None:
    devices = (package(), model())
    ledger = ledger_of(devices[first], devices[1 - first], gpu())
    assert joules(ledger) == 150
    assert summed(ledger) == {"GPU-1", "intel-rapl:0"}


def test_a_model_of_the_host_stands_for_what_nothing_measures() -> None:
    ledger = ledger_of(gpu(), model())
    assert joules(ledger) == 180


def test_a_package_of_another_host_changes_nothing() -> None:
    ledger = ledger_of(model(), package(boot_id="boot2"))
    assert joules(ledger) == 130
