"""Which GPU is not as the others: by power, utilisation and temperature together."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from array import array
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.detectors.faulty_device import FaultyDevice
from trimtab_monitor.detectors.gauges import MAX_DEVICES, Gauges
from trimtab_monitor.detectors.odd_one_out import distances
from trimtab_monitor.types import Finding

Reading = tuple[float, float, float]
"""Power in watts, utilisation 0 to 1, temperature in degrees Celsius."""
Change = Callable[[int, float, Reading], Reading]

NOW = 1_700_000_000.0


def device(
    number: int,
    readings: list[Reading],
    now: float,
    component: wire.Component = "gpu",
    name: str = "H100",
) -> wire.Device:
    return wire.Device(
        host=f"host-{number // 8}",
        boot_id="boot",
        uuid=f"GPU-{number}",
        component=component,
        name=name,
        method="counter",
        time=array("d", [now + row for row in range(len(readings))]),
        power_w=array("d", [power for power, _, _ in readings]),
        util=array("d", [util for _, util, _ in readings]),
        temp_c=array("d", [temp for _, _, temp in readings]),
    )


def well(number: int, second: float, reading: Reading) -> Reading:
    return reading


def bad(number: int, fault: Callable[[Reading], Reading], start: float = 200.0) -> Change:
    return lambda n, second, reading: fault(reading) if n == number and second >= start else reading


def throttled(reading: Reading) -> Reading:
    return reading[0] * 0.7, reading[1], reading[2] + 10


def idle(reading: Reading) -> Reading:
    return reading[0] * 0.3, 0.02, reading[2] - 15


def capped(reading: Reading) -> Reading:
    return reading[0] * 0.7, reading[1], reading[2] - 3


def watch(
    devices: int, seconds: int, change: Change = well, *, seed: int = 0, detector: FaultyDevice | None = None
) -> list[Finding]:
    """Boards that differ a little each, and pause together for a checkpoint; a batch every ten seconds."""
    detector = FaultyDevice() if detector is None else detector
    rng, found = random.Random(seed), []
    boards = [(rng.gauss(1, 0.02), rng.gauss(0, 2.5)) for _ in range(devices)]
    for second in range(0, seconds, 10):
        saving = second % 300 >= 280
        for number, (draw, heat) in enumerate(boards):
            readings: list[Reading] = []
            for row in range(10):
                power = (150.0 if saving else 600.0) * draw + rng.gauss(0, 30)
                util = 0.05 if saving else min(1.0, max(0.0, rng.gauss(0.95, 0.04)))
                reading = power, util, 62.0 + heat + rng.gauss(0, 1)
                readings.append(change(number, second + row, reading))
            detector.read(device(number, readings, NOW + second))
        found += detector.judge(second, NOW + second)
    return found


@pytest.mark.parametrize("devices", [4, 8, 64])
@pytest.mark.parametrize(("fault", "name"), [(throttled, "throttled"), (idle, "idle"), (capped, "capped")])
def test_a_faulty_device_is_told_once(devices: int, fault: Callable[[Reading], Reading], name: str) -> None:
    (found,) = watch(devices, 600, bad(devices - 2, fault))
    assert found.severity == "warning"
    assert (found.evidence["fault"], found.evidence["device"]) == (name, f"GPU-{devices - 2}")
    assert found.evidence["host"] == f"host-{(devices - 2) // 8}"
    assert 190 <= found.onset_step <= 230
    assert found.step <= 290


def test_the_finding_says_what_is_odd_beside_the_others() -> None:
    (found,) = watch(8, 600, bad(3, throttled))
    assert found.metric == "power_w"
    assert found.value == pytest.approx(420, rel=0.05)
    assert found.expected == pytest.approx(600, rel=0.05)
    what = str(found.evidence["what"])
    assert what.startswith("hotter and draws less, as if throttled (")
    assert "% used" in what


@pytest.mark.parametrize("devices", [2, 4, 8, 64])
@pytest.mark.parametrize("seed", range(2))
def test_healthy_devices_are_quiet(devices: int, seed: int) -> None:
    assert watch(devices, 1800, seed=seed) == []


def test_a_fault_of_a_few_seconds_is_nothing() -> None:
    def dip(number: int, second: float, reading: Reading) -> Reading:
        return idle(reading) if number == 1 and 200 <= second < 230 else reading

    assert watch(8, 600, dip) == []


def test_stages_of_a_pipeline_differ_by_design() -> None:
    def staged(number: int, second: float, reading: Reading) -> Reading:
        return (reading[0] * 0.75, reading[1] * 0.8, reading[2]) if number % 4 == 0 else reading

    assert watch(16, 900, staged) == []
    assert watch(8, 900, lambda n, s, r: staged(0, s, r) if n == 0 else r) == []


def test_half_of_all_slower_is_no_faulty_device() -> None:
    assert watch(16, 600, lambda n, s, r: idle(r) if n < 8 and s > 200 else r) == []


def test_a_device_that_never_worked_is_a_mark() -> None:
    (found,) = watch(8, 600, bad(5, idle, start=0))
    assert (found.severity, found.evidence["from_the_start"]) == ("info", True)


def test_a_device_throttled_from_the_start_is_told() -> None:
    (found,) = watch(8, 600, bad(5, throttled, start=0))
    assert found.severity == "warning"


def test_where_nobody_works_nobody_is_idle() -> None:
    assert watch(8, 600, lambda n, s, r: (90.0, 0.0 if n else 0.01, 40.0)) == []


def test_a_hot_device_is_told() -> None:
    (found,) = watch(8, 600, bad(2, lambda r: (r[0], r[1], r[2] + 27)))
    assert (found.evidence["fault"], found.metric) == ("hot", "temp_c")


def test_it_is_over_when_the_device_works_again() -> None:
    detector = FaultyDevice()
    watch(8, 600, lambda n, s, r: idle(r) if n == 1 and 100 <= s < 300 else r, detector=detector)
    assert not detector.active
    assert detector.strikes == {}


def test_boards_of_another_model_and_other_components_are_not_compared() -> None:
    detector, found = FaultyDevice(), []
    for second in range(0, 400, 10):
        for number in range(6):
            reading = [(600.0, 0.95, 60.0)] * 10 if number else [(60.0, 0.01, 35.0)] * 10
            detector.read(device(number, reading, NOW + second, name="H100" if number else "T4"))
        detector.read(device(9, [(100.0, 0.1, 50.0)] * 10, NOW + second, component="package"))
        found += detector.judge(second, NOW + second)
    assert found == []
    assert len(detector.gauges.devices) == 6


def test_power_alone_is_enough() -> None:
    detector, found = FaultyDevice(), []
    for second in range(0, 600, 10):
        for number in range(8):
            power = 420.0 if number == 2 and second > 200 else 600.0
            found_device = device(number, [(power, 0.9, 60.0)] * 10, NOW + second)
            detector.read(
                wire.Device(
                    host=found_device.host,
                    boot_id="boot",
                    uuid=found_device.uuid,
                    component="gpu",
                    name="H100",
                    method="counter",
                    time=found_device.time,
                    power_w=found_device.power_w,
                )
            )
        found += detector.judge(second, NOW + second)
    assert [each.evidence["device"] for each in found] == ["GPU-2"]


def test_it_goes_on_from_its_state() -> None:
    detector = FaultyDevice()
    watch(8, 250, bad(3, throttled), detector=detector)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(detector), type=FaultyDevice)
    assert again == detector


def test_its_state_is_bounded() -> None:
    detector = FaultyDevice()
    watch(64, 100, detector=detector)
    assert len(msgspec.msgpack.encode(detector)) < 20_000
    gauges = Gauges()
    for number in range(MAX_DEVICES + 10):
        gauges.add(device(number, [(1.0, 0.5, 30.0)], NOW))
    assert len(gauges.devices) == MAX_DEVICES


def test_a_healthy_run_never_loads_what_is_heavy() -> None:
    script = (
        "import sys; sys.path.insert(0, 'tests/unit/monitor');"
        "import test_faulty_device as t; assert t.watch(8, 600) == [];"
        "assert 'sklearn' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


NUMBER = st.floats() | st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1e-30, 1e30])


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.lists(st.tuples(NUMBER, NUMBER, NUMBER), max_size=3)), max_size=40
    )
)
def test_bad_readings_break_nothing(batches: list[tuple[int, list[Reading]]]) -> None:
    detector = FaultyDevice()
    for count, (number, readings) in enumerate(batches):
        detector.read(device(number, readings, NOW))
        for found in detector.judge(count, NOW + 30 * count):
            assert math.isfinite(found.score)


@pytest.mark.parametrize("count", [4, 15, 16, 64, 600])
def test_the_odd_one_is_far_and_the_others_are_near(count: int) -> None:
    rng = random.Random(count)
    vectors = [[rng.gauss(1, 0.02), rng.gauss(60, 2)] for _ in range(count)]
    vectors[1] = [0.7, 72.0]
    found = distances(vectors, [0.02, 2.0])
    assert found[1] > 6
    assert sorted(found)[-2] < 6


@pytest.mark.parametrize("count", [4, 16])
def test_equal_vectors_are_at_no_distance(count: int) -> None:
    assert max(distances([[1.0, 60.0]] * count, [0.02, 2.0])) < 0.2
