"""What is read beside what, what this machine has, and the clock of the readings."""

from __future__ import annotations

from collections.abc import Callable, Set

import pytest

from trimtab import sensors
from trimtab.sensors import NoSensor, Probe, SteadyClock
from trimtab.sensors.reading import DeviceInfo
from trimtab.vocabulary import Component


def clock() -> float:
    return 1000.0


def found(name: str, *components: Component) -> Probe:
    return Probe(
        NoSensor(name), tuple(DeviceInfo(f"{name}:{part}", part, name, "counter") for part in components)
    )


@pytest.mark.parametrize(
    ("gpu", "rapl", "grace", "jetson", "read"),
    [
        ("gpu", "package", None, None, ["nvml", "rapl"]),
        ("gpu", None, None, None, ["nvml", "host model"]),
        ("gpu", None, "package", None, ["nvml", "grace"]),
        ("module", "package", "package", "module", ["nvml"]),
        (None, "package", None, "module", ["rapl"]),
        (None, None, "module", "module", ["grace"]),
        (None, None, None, "module", ["jetson"]),
        ("gpu", None, None, "module", ["nvml", "host model"]),
        (None, None, None, None, ["host model"]),
    ],
)
def test_nothing_that_overlaps_is_read(
    gpu: Component | None,
    rapl: Component | None,
    grace: Component | None,
    jetson: Component | None,
    read: list[str],
) -> None:
    def probe(name: str, component: Component | None) -> Probe:
        return found(name, *([component] if component else []))

    told: list[Set[Component]] = []

    def look_for_grace(covered: Set[Component]) -> Probe:
        told.append(covered)
        return probe("grace", grace)

    arranged = sensors.arrange(
        [probe("nvml", gpu)],
        rapl=lambda: probe("rapl", rapl),
        grace=look_for_grace,
        jetson=lambda: probe("jetson", jetson),
        host_model=lambda: found("host model", "host"),
    )
    assert [each.sensor.name for each in arranged if each.found] == read
    assert told in ([], [{part for part in (gpu, rapl) if part}])


def test_what_is_found_can_be_read() -> None:
    found = sensors.find_sensors(clock=clock)
    assert found
    assert len({sensor.scope for sensor in found}) == len(found)


def test_every_kind_of_sensor_is_described() -> None:
    described = sensors.describe()
    assert [entry["sensor"] for entry in described][:3] == ["nvml", "amd", "rapl"]
    for entry in described:
        assert entry["found"] or entry["problem"]
        assert all(set(device) == {"uuid", "component", "name", "method"} for device in entry["found"])


def times_of(*values: float) -> Callable[[], float]:
    given = iter(values)
    return lambda: next(given)


def test_time_goes_on_when_the_machines_clock_is_set() -> None:
    steady = SteadyClock(wall=times_of(5000.0), elapsed=times_of(10.0, 11.0, 12.5))
    assert [steady(), steady()] == [5001.0, 5002.5]


def test_time_is_unix_time() -> None:
    import time

    before = time.time()
    assert before - 1 < SteadyClock()() < before + 60
