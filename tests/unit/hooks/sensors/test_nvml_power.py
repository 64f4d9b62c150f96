"""Which way to know a board's energy is used, and what is known of its window."""

from __future__ import annotations

import pytest

from trimtab.sensors import Probe, Reading
from trimtab.sensors.nvidia import nvml
from trimtab.testing_nvml import Board, Nvml

A100 = "NVIDIA A100-SXM4-80GB"


def probe(board: Board) -> Probe:
    return nvml.probe(lambda: 1000.0, None, Nvml([board]), {})


def read(board: Board) -> Reading:
    (reading,) = probe(board).sensor.read()
    return reading


@pytest.mark.parametrize(
    ("board", "method", "power_w", "window_s", "update_s"),
    [
        (Board("a", energy_mj=None), "power_average", 612.0, 1.0, 0.1),
        (Board("b", energy_mj=0), "power_average", 612.0, 1.0, 0.1),
        (Board("c", energy_mj=None, average_mw=None, usage_mw=None), "power_instant", 640.0, 0.025, 0.1),
        (Board("d", energy_mj=None, average_mw=0, usage_mw=None), "power_instant", 640.0, 0.025, 0.1),
        (Board("e", energy_mj=None, average_mw=None, instant_mw=None), "power_average", 611.0, 1.0, 0.1),
        (Board("f", energy_mj=None, average_mw=None), "power_average", 611.0, 1.0, 0.1),
        (Board("g", A100, None, None, None, architecture=7), "power_instant", 611.0, 0.025, 0.1),
        (Board("h", A100, None, None, architecture=7), "power_instant", 640.0, 0.025, 0.1),
        (Board("i", "NVIDIA RTX A6000", None, None, None, architecture=7), "power_average", 611.0, 1.0, 0.1),
        (
            Board("j", "Tesla V100-SXM2-32GB", None, None, None, architecture=5),
            "power_instant",
            611.0,
            None,
            None,
        ),
        (
            Board("k", "NVIDIA B200", None, None, usage_mw=None, architecture=10),
            "power_instant",
            640.0,
            None,
            None,
        ),
    ],
)
def test_without_a_counter_the_best_power_is_read_and_named(
    board: Board, method: str, power_w: float, window_s: float | None, update_s: float | None
) -> None:
    reading = read(board)
    device = reading.device
    assert (device.method, reading.power_w, reading.energy_counter) == (method, power_w, None)
    assert (device.power_window_s, device.power_update_s) == (window_s, update_s)
    assert device.counter_unit_j is None


def test_beside_a_counter_the_averaged_power_is_read() -> None:
    reading = read(Board("a"))
    assert (reading.device.method, reading.power_w, reading.device.power_window_s) == ("counter", 612.0, 1.0)


def test_a_counter_alone_is_enough() -> None:
    reading = read(Board("a", average_mw=None, instant_mw=None, usage_mw=None))
    assert (reading.device.method, reading.energy_counter, reading.power_w) == ("counter", 5_000_000, None)
    assert reading.device.power_window_s is None


def test_a_limit_that_is_not_told_is_none() -> None:
    assert read(Board("a", limit_mw=None)).device.power_limit_w is None


# --- modules of GPU, CPU and memory ---


def module(energy_mj: int | None = 5_000_000, module_mw: int | None = 900_000) -> Board:
    return Board("GPU-a", "NVIDIA GH200 480GB", energy_mj, module_average_mw=module_mw)


def test_the_counter_of_a_grace_hopper_is_that_of_the_module_and_so_is_its_power() -> None:
    reading = read(module())
    assert (reading.device.component, reading.energy_counter, reading.power_w) == ("module", 5_000_000, 900.0)


def test_the_power_of_the_gpu_alone_is_not_held_against_the_modules_counter() -> None:
    reading = read(module(module_mw=None))
    assert (reading.device.component, reading.device.method, reading.power_w) == ("module", "counter", None)


def test_without_the_modules_counter_its_power_is_read() -> None:
    reading = read(module(energy_mj=None))
    assert (reading.device.component, reading.device.method, reading.power_w) == (
        "module",
        "power_average",
        900.0,
    )


def test_where_nothing_is_told_of_the_module_the_gpu_is_read() -> None:
    reading = read(module(energy_mj=None, module_mw=None))
    assert (reading.device.component, reading.device.method, reading.power_w) == (
        "gpu",
        "power_average",
        612.0,
    )
