"""What is read beside what, and what this machine has."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import pytest

from trimtab import sensors
from trimtab.sensors import NoSensor, Probe
from trimtab.sensors.reading import DeviceInfo
from trimtab.sensors.share.members import Members
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
    found = sensors.find_sensors(None, clock)
    assert found
    assert len({sensor.scope for sensor in found}) == len(found)


def test_every_kind_of_sensor_is_described() -> None:
    described = sensors.describe()
    assert [entry["sensor"] for entry in described][:3] == ["nvml", "amd", "rapl"]
    for entry in described:
        assert entry["found"] or entry["problem"]
        assert all(set(device) == {"uuid", "component", "name", "method"} for device in entry["found"])


@pytest.fixture
def locked_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A powercap tree with one package, whose counter this user may not read."""
    zone = tmp_path / "powercap" / "intel-rapl:0"
    (zone / "energy_uj").mkdir(parents=True)  # unreadable for root too, who runs the tests in a container
    (zone / "name").write_text("package-0\n")
    monkeypatch.setenv("TRIMTAB_POWERCAP", str(zone.parent))


@pytest.mark.usefixtures("locked_tree")
def test_counters_that_may_not_be_read_are_told_in_the_jobs_log_with_the_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    read = sensors.find_sensors(None, clock)
    assert "rapl" not in {sensor.name for sensor in read}
    (told,) = [record.getMessage() for record in caplog.records if "rapl" in record.getMessage()]
    assert "not readable by this user: sudo chmod a+r" in told


@pytest.mark.usefixtures("locked_tree")
@pytest.mark.skipif(not Path("/proc/1/stat").exists(), reason="there is no /proc here")
def test_one_rank_of_a_host_tells_it(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    first = Members("r", "boot", tmp_path, pid=1)
    first.join()
    this = Members("r", "boot", tmp_path)
    this.join()
    sensors.find_sensors(this, clock)
    assert "not readable" not in caplog.text
    first.leave()
    again = Members("r", "boot", tmp_path)
    again.join()
    sensors.find_sensors(again, clock)
    assert "not readable" in caplog.text
