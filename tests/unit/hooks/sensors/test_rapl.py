"""Which counters of the powercap tree are read, from trees made up for the test."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from trimtab.sensors import Probe, Sensor, SensorError
from trimtab.sensors.cpu import rapl
from trimtab.sensors.cpu.rapl_mirrors import repeats
from trimtab.sensors.reading import DeviceInfo
from trimtab.sensors.share.cpu_share import Share

JOULE = 1_000_000


def clock() -> float:
    return 1000.0


@dataclass
class PowercapTree:
    """A powercap tree as the kernel lays it out: every zone flat, and children under their parent too."""

    root: Path

    def zone(
        self, zone_id: str, name: str, energy_uj: int, range_uj: int = 262143328850, kind: str = "intel-rapl"
    ) -> Path:
        folder = self.root / f"{kind}:{zone_id}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.set(folder, energy_uj)
        return folder

    def set(self, folder: Path, energy_uj: int) -> None:
        (folder / "energy_uj").write_text(f"{energy_uj}\n")


def look(tree: PowercapTree) -> Probe:
    return rapl.probe(clock, root=tree.root)


@pytest.fixture
def tree(tmp_path: Path) -> PowercapTree:
    return PowercapTree(tmp_path / "powercap")


def test_packages_and_their_memory_are_counted_and_nothing_that_overlaps(tree: PowercapTree) -> None:
    tree.zone("0", "package-0", 100)
    tree.zone("0:0", "core", 60)
    tree.zone("0:1", "uncore", 5)
    tree.zone("0:2", "dram", 30, range_uj=65532610987)
    tree.zone("1", "package-1", 200 * JOULE)
    tree.zone("2", "psys", 400)
    tree.zone("0", "package-0", 101, kind="intel-rapl-mmio")
    (tree.root / "intel-rapl").mkdir()
    probe = look(tree)
    readings = probe.sensor.read()
    assert {reading.device.uuid: reading.energy_counter for reading in readings} == {
        "rapl:package-0:0": 100,
        "rapl:dram:0:2": 30,
        "rapl:package-1:1": 200 * JOULE,
    }
    assert (probe.problem, probe.remedy) == (None, None)
    memory = next(reading.device for reading in readings if reading.device.component == "dram")
    assert memory == DeviceInfo("rapl:dram:0:2", "dram", "CPU dram", "counter", 1e-6, 65532610987)
    assert {reading.time for reading in readings} == {1000.0}


def test_a_counter_is_read_anew_each_time(tree: PowercapTree) -> None:
    zone = tree.zone("0", "package-0", 100)
    sensor = look(tree).sensor
    assert [reading.energy_counter for reading in sensor.read()] == [100]
    tree.set(zone, 7)
    assert [reading.energy_counter for reading in sensor.read()] == [7], "a wrap is the ledger's to see"


def test_zones_that_are_listed_only_under_their_package_are_found(tree: PowercapTree) -> None:
    package = tree.zone("0", "package-0", 100)
    nested = PowercapTree(package)
    nested.zone("0:0", "dram", 30)
    found = {device.uuid for device in look(tree).devices}
    assert found == {"rapl:package-0:0", "rapl:dram:0:0"}


@pytest.fixture
def dies(tree: PowercapTree) -> tuple[Path, Path, Path]:
    """Two counters that stand at one number, and another; counts of this test are joules."""
    return (
        tree.zone("0", "package-0-die-0", 42 * JOULE),
        tree.zone("1", "package-0-die-1", 42 * JOULE),
        tree.zone("2", "package-1-die-0", 99 * JOULE),
    )


def read(sensor: Sensor) -> list[tuple[str, int | None]]:
    return [(reading.device.uuid[-1], reading.energy_counter) for reading in sensor.read()]


def read_joules(sensor: Sensor) -> list[tuple[str, float]]:
    return [(uuid, (count or 0) / JOULE) for uuid, count in read(sensor)]


def test_a_die_that_repeats_anothers_counter_is_counted_once(
    tree: PowercapTree, dies: tuple[Path, Path, Path]
) -> None:
    probe = look(tree)
    assert (
        probe.problem
        == "CPU package-0-die-1 stands where CPU package-0-die-0 does: left out if it repeats it"
    )
    assert read_joules(probe.sensor) == [("0", 42), ("2", 99)]
    for joules in (60, 500, 900):
        tree.set(dies[0], joules * JOULE)
        tree.set(dies[1], (joules - 1) * JOULE)  # renewed a moment before
        assert read_joules(probe.sensor) == [("0", joules), ("2", 99)]


def test_packages_that_merely_begin_alike_are_both_counted(
    tree: PowercapTree, dies: tuple[Path, Path, Path]
) -> None:
    sensor = look(tree).sensor
    assert read_joules(sensor) == read_joules(sensor) == [("0", 42), ("2", 99)], "nothing has moved yet"
    tree.set(dies[0], 61 * JOULE)
    tree.set(dies[1], 60 * JOULE)
    assert read_joules(sensor) == [("0", 61), ("2", 99)], "too little to tell"
    tree.set(dies[0], 80 * JOULE)
    tree.set(dies[1], 75 * JOULE)
    told = read_joules(sensor)
    assert told == [("0", 80), ("2", 99), ("1", 42), ("1", 75)], "what was held back comes too"
    tree.set(dies[1], 80 * JOULE)
    assert read_joules(sensor) == [("0", 80), ("1", 80), ("2", 99)]


def test_only_one_of_two_that_moves_is_no_mirror(tree: PowercapTree, dies: tuple[Path, Path, Path]) -> None:
    sensor = look(tree).sensor
    tree.set(dies[0], 50 * JOULE)
    assert ("1", 42) in read_joules(sensor)


def test_packages_of_other_ranges_are_no_mirrors(tree: PowercapTree) -> None:
    tree.zone("0", "package-0", 4242)
    tree.zone("1", "package-1", 4242, range_uj=65532610987)
    probe = look(tree)
    assert probe.problem is None
    assert read(probe.sensor) == [("0", 4242), ("1", 4242)]


def test_a_mirror_whose_original_fails_waits_for_it(
    tree: PowercapTree, dies: tuple[Path, Path, Path]
) -> None:
    sensor = look(tree).sensor
    (dies[0] / "energy_uj").write_text("no number")
    assert read_joules(sensor) == [("2", 99)]
    tree.set(dies[0], 500 * JOULE)
    tree.set(dies[1], 500 * JOULE)
    assert read_joules(sensor) == [("0", 500), ("2", 99)]


@pytest.mark.parametrize(
    ("start", "before", "count", "after", "told"),
    [
        (10, 250, 250, 250, True),
        (10, 250, 260, 270, True),  # read a moment later
        (10, 250, 249, 250, True),  # renewed a moment before
        (10, 250, 252, 250, True),
        (10, 250, 247, 250, False),
        (10, 250, 273, 270, False),
        (10, 10, 10, 10, None),
        (10, 90, 90, 90, None),
        (10, 90, 87, 90, False),
        (900, 80, 81, 82, True),  # both wrapped
        (950, 999, 0, 1, None),  # one has wrapped, the other not yet; they have moved by 50
        (700, 999, 0, 1, True),
        (700, 1, 999, 1, True),
        (700, 1, 900, 1, False),
    ],
)
def test_a_mirror_is_what_still_stands_with_the_other_after_it_moved(
    start: int, before: int, count: int, after: int, told: bool | None
) -> None:
    assert repeats(start * JOULE, before * JOULE, count * JOULE, after * JOULE, 1000 * JOULE) is told


def test_no_tree_is_no_sensor(tmp_path: Path) -> None:
    probe = rapl.probe(clock, root=tmp_path / "missing")
    assert not probe.found
    assert probe.sensor.read() == []
    assert "no package zone" in str(probe.problem)
    assert not probe.hidden


def test_a_counter_that_may_not_be_read_is_told_with_the_remedy(tree: PowercapTree) -> None:
    zone = tree.zone("0", "package-0", 100)
    (zone / "energy_uj").unlink()
    (zone / "energy_uj").mkdir()  # unreadable for root too, who runs the tests in a container
    probe = look(tree)
    assert not probe.found
    assert probe.problem == f"{zone}/energy_uj: not readable by this user"
    assert f"chmod a+r {tree.root}/intel-rapl:*/energy_uj" in str(probe.remedy)
    assert "/etc/udev/rules.d/" in str(probe.remedy)
    assert probe.hidden


def test_a_zone_that_fails_later_is_told_once_and_the_others_are_read(
    tree: PowercapTree, caplog: pytest.LogCaptureFixture
) -> None:
    tree.zone("0", "package-0", 100)
    lost = tree.zone("1", "package-1", 200 * JOULE)
    sensor = look(tree).sensor
    (lost / "energy_uj").unlink()
    with caplog.at_level(logging.WARNING, "trimtab"):
        for _ in range(3):
            assert [reading.device.uuid for reading in sensor.read()] == ["rapl:package-0:0"]
    assert len(caplog.records) == 1
    assert "rapl:package-1:1" in caplog.text
    assert "chmod a+r" in caplog.text
    tree.set(lost, 300 * JOULE)
    assert ("1", 300 * JOULE) in read(sensor), "it answers again"


def test_when_every_zone_fails_the_sensor_says_so(tree: PowercapTree) -> None:
    zone = tree.zone("0", "package-0", 100)
    sensor = look(tree).sensor
    (zone / "energy_uj").write_text("no number")
    with pytest.raises(SensorError, match="none of 1 zones can be read any more"):
        sensor.read()


def test_a_package_that_may_not_be_read_leaves_the_others(
    tree: PowercapTree, caplog: pytest.LogCaptureFixture
) -> None:
    tree.zone("0", "package-0", 100)
    locked = tree.zone("1", "package-1", 200 * JOULE)
    (locked / "energy_uj").unlink()
    (locked / "energy_uj").mkdir()
    probe = look(tree)
    assert [device.uuid for device in probe.devices] == ["rapl:package-0:0"]
    assert read(probe.sensor) == read(probe.sensor) == [("0", 100)]
    assert caplog.text.count("sudo chmod a+r") == 1


@pytest.mark.parametrize("said", ["-5", "", "1e9", "0x10", "١٢"])
def test_nonsense_is_no_count(tree: PowercapTree, said: str) -> None:
    zone = tree.zone("0", "package-0", 100)
    tree.zone("1", "package-1", 200 * JOULE)
    sensor = look(tree).sensor
    (zone / "energy_uj").write_text(said)
    assert read(sensor) == [("1", 200 * JOULE)]


def test_the_mmio_tree_is_read_where_it_is_the_only_one(tree: PowercapTree) -> None:
    tree.zone("0", "package-0", 100, kind="intel-rapl-mmio")
    assert read(look(tree).sensor) == [("0", 100)]


def test_a_tree_that_a_container_hides_is_told_with_the_remedy(tree: PowercapTree) -> None:
    tree.root.mkdir()
    (tree.root / "intel-rapl:0").symlink_to("/nowhere/intel-rapl:0")
    probe = look(tree)
    assert "this container hides them" in str(probe.problem)
    assert "TRIMTAB_POWERCAP=" in str(probe.remedy)
    assert probe.hidden


def test_the_tree_may_be_in_another_place(tree: PowercapTree) -> None:
    tree.zone("0", "package-0", 100)
    probe = rapl.probe(clock, environ={"TRIMTAB_POWERCAP": str(tree.root)})
    assert read(probe.sensor) == [("0", 100)]


def test_the_jobs_share_goes_with_every_reading(tree: PowercapTree) -> None:
    tree.zone("0", "package-0", 100)
    tree.zone("0:0", "dram", 10)
    sensor = rapl.probe(clock, lambda: Share(0.25, 0.5), tree.root).sensor
    assert [(reading.used_share, reading.held_share) for reading in sensor.read()] == [(0.25, 0.5)] * 2
