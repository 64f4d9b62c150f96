"""What is read of a board, by which method, and what becomes of it when the board or its driver goes away."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from trimtab.sensors import DeviceInfo, Probe, Reading, SensorError
from trimtab.sensors.nvidia import nvml
from trimtab.sensors.reading import EdgeSensor, FaultSensor
from trimtab.testing_nvml import GPU_IS_LOST, Board, Nvml


@dataclass
class Machine:
    """A driver with boards, on a clock that goes on where somebody waits."""

    driver: Nvml
    now: float = 1000.0
    probe: Probe = field(init=False)

    def __post_init__(self) -> None:
        self.probe = nvml.probe(lambda: self.now, None, self.driver, {}, self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def read(self, number: int = 0) -> Reading:
        (reading,) = self.probe.sensors[number].read()
        return reading

    def read_until_told(self, number: int = 0) -> Reading:
        for _ in range(600):
            self.wait(1.0)
            try:
                return self.read(number)
            except SensorError:
                continue
        raise AssertionError("the board did not come back")


def machine(*boards: Board) -> Machine:
    return Machine(Nvml(list(boards)))


def test_a_board_is_read_by_its_counter_with_its_power_beside_it() -> None:
    reading = machine(Board("GPU-a")).read()
    assert reading.device == DeviceInfo(
        "GPU-a", "gpu", "NVIDIA H100 80GB HBM3", "counter", 1e-3, None, 700.0, 1.0, 0.1
    )
    assert (reading.time, reading.energy_counter, reading.power_w) == (1000.0, 5_000_000, 612.0)
    assert (reading.util, reading.mem_used_bytes, reading.temp_c) == (0.87, 2.0**30, 61.0)
    assert (reading.used_share, reading.held_share) == (None, None)


def test_each_board_is_a_sensor_of_its_own() -> None:
    probe = machine(Board("GPU-a"), Board("GPU-b")).probe
    assert [sensor.scope for sensor in probe.sensors] == ["nvml-GPU-a", "nvml-GPU-b"]
    assert [device.uuid for device in probe.devices] == ["GPU-a", "GPU-b"]


def test_energy_and_power_are_asked_before_all_else() -> None:
    found = machine(Board("GPU-a"))
    found.driver.calls.clear()
    found.read()
    assert found.driver.calls[:2] == ["nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetFieldValues"]


def test_a_driver_that_takes_long_is_asked_the_rest_in_turn() -> None:
    found = machine(Board("GPU-a"))

    def slow_mj() -> int:
        found.wait(0.3)
        return 5_000_000

    found.driver.boards[0].energy_mj = slow_mj
    reading = found.read()
    assert (reading.time, reading.energy_counter) == (1000.0, 5_000_000)
    told = []
    for _ in range(9):
        found.wait(1.0)
        told.append(found.read())
    assert any(reading.util is not None for reading in told)
    assert any("sm_clock_mhz" in reading.gauges for reading in told)


def test_what_a_board_does_not_tell_is_none_and_not_zero() -> None:
    board = Board("GPU-a", util=None, used_bytes=None, temp_c=None, sm_mhz=None, ecc_corrected=None)
    reading = machine(board).read()
    assert (reading.util, reading.mem_used_bytes, reading.temp_c) == (None, None, None)
    assert set(reading.gauges) == {"mem_clock_mhz", "throttle_reasons", "ecc_uncorrected_errors"}


def test_a_momentary_power_is_read_ten_times_a_second_at_random_times() -> None:
    board = Board("GPU-a", energy_mj=None, average_mw=None, usage_mw=None)
    (sensor,) = machine(board).probe.sensors
    assert (sensor.draw_times, sensor.period_s) == (True, 0.1)


def test_a_momentary_power_beside_a_counter_is_read_at_random_times() -> None:
    board = Board("GPU-a", "NVIDIA A100-SXM4-80GB", average_mw=None, architecture=7)
    (sensor,) = machine(board).probe.sensors
    assert (sensor.draw_times, sensor.period_s) == (True, None)


def test_an_averaged_power_is_read_once_a_second() -> None:
    (sensor,) = machine(Board("GPU-a", energy_mj=None)).probe.sensors
    assert (sensor.draw_times, sensor.period_s) == (False, None)


# --- the edges of a run ---


@dataclass
class Counting:
    """The counter of a board at 600 W, renewed every 100 ms."""

    on: Machine

    def __call__(self) -> int:
        renewed_at = (self.on.now + 0.04) // 0.1 * 0.1 - 0.04
        return round(600_000 * (renewed_at - 900))


def counting(instant_mw: int | None = 90_000) -> tuple[Machine, EdgeSensor]:
    found = machine(Board("GPU-a", instant_mw=instant_mw))
    found.driver.boards[0].energy_mj = Counting(found)
    (sensor,) = found.probe.sensors
    assert isinstance(sensor, EdgeSensor)
    return found, sensor


def test_a_run_begins_with_renewals_of_the_counter() -> None:
    found, sensor = counting()
    began = found.now
    readings = sensor.read_first()
    assert [reading.time for reading in readings] == pytest.approx([1000.06, 1000.16], abs=0.003)
    assert [reading.power_w for reading in readings] == [None, 612.0]
    assert found.now - began < 0.3


def test_a_run_ends_between_two_renewals_with_the_power_after_it() -> None:
    found, sensor = counting()
    sensor.read_first()
    found.now = ended_at = 1060.0
    before, after = sensor.read_last()
    assert before.time == pytest.approx(1059.96, abs=0.006)
    assert after.time == pytest.approx(1060.06, abs=0.003)
    assert before.time < ended_at < after.time
    assert before.energy_counter is not None
    assert after.energy_counter is not None
    assert after.energy_counter - before.energy_counter == 60_000
    assert (before.power_w, after.power_w) == (None, 90.0)


def test_a_board_that_tells_no_power_of_this_moment_tells_none_at_the_end() -> None:
    found, sensor = counting(instant_mw=None)
    found.now = 1060.0
    assert sensor.read_last()[-1].power_w is None


def test_readings_never_go_back_in_time() -> None:
    found, sensor = counting()
    times = [reading.time for reading in sensor.read_first()]
    found.now = 1003.0
    times.append(found.read().time)
    found.wait(0.002)
    times += [reading.time for reading in sensor.read_last()]
    assert times == sorted(times)
    assert len(times) == 4, "the renewal before 1003.0 is not told once more"


def test_without_a_counter_an_averaged_power_bears_its_renewals_the_last_one_within_the_run() -> None:
    found = machine(Board("GPU-a", energy_mj=None))
    found.driver.boards[0].average_mw = Counting(found)
    (sensor,) = found.probe.sensors
    assert isinstance(sensor, EdgeSensor)
    (first,) = sensor.read_first()
    found.now = 1060.0
    (last,) = sensor.read_last()
    assert [first.time, last.time] == pytest.approx([1000.06, 1059.96], abs=0.006)
    assert [first.power_w, last.power_w] == pytest.approx([60_036.0, 95_976.0])


def test_a_momentary_power_is_not_waited_for() -> None:
    found = machine(Board("GPU-a", energy_mj=None, average_mw=None, usage_mw=None))
    (sensor,) = found.probe.sensors
    assert isinstance(sensor, EdgeSensor)
    assert [reading.power_w for reading in sensor.read_first() + sensor.read_last()] == [640.0, 640.0]
    assert found.now == 1000.0


# --- what goes away ---


def test_a_counter_that_goes_away_leaves_the_power_and_may_come_back() -> None:
    found = machine(Board("GPU-a"))
    (board,) = found.driver.boards
    methods = []
    for energy_mj in (5_000_000, None, 0, 5_100_000):
        board.energy_mj = energy_mj
        reading = found.read()
        methods.append((reading.device.method, reading.device.counter_unit_j, reading.energy_counter))
    assert methods == [
        ("counter", 1e-3, 5_000_000),
        ("power_average", None, None),
        ("power_average", None, None),
        ("counter", 1e-3, 5_100_000),
    ]


def test_a_counter_that_goes_away_leaves_a_momentary_power_read_as_one() -> None:
    found = machine(Board("GPU-a", average_mw=None, usage_mw=None))
    (sensor,) = found.probe.sensors
    found.driver.boards[0].energy_mj = None
    sensor.read()
    assert sensor.period_s == 0.1
    found.driver.boards[0].energy_mj = 5_000_001
    sensor.read()
    assert sensor.period_s is None


def test_a_board_that_is_lost_says_so_and_the_others_are_read() -> None:
    found = machine(Board("GPU-a"), Board("GPU-b"))
    found.driver.boards[1].error = GPU_IS_LOST
    with pytest.raises(SensorError, match=r"GPU-b.* tells neither energy nor power any more"):
        found.read(1)
    assert found.read(0).energy_counter == 5_000_000


def test_a_board_that_is_lost_is_looked_for_ever_more_seldom() -> None:
    found = machine(Board("GPU-a"), Board("GPU-b"))
    found.driver.boards[1].error = GPU_IS_LOST
    found.driver.calls.clear()
    for _ in range(120):
        found.wait(1.0)
        with pytest.raises(SensorError):
            found.read(1)
    assert 5 <= found.driver.calls.count("nvmlDeviceGetHandleByUUID") <= 12
    assert "nvmlInit" not in found.driver.calls, "the others' handles stay as they are"
    found.driver.boards[1].error = None
    assert found.read_until_told(1).energy_counter == 5_000_000


def test_a_board_that_is_lost_is_asked_more_often_for_some_seconds() -> None:
    found = machine(Board("GPU-a"))
    (sensor,) = found.probe.sensors
    found.driver.boards[0].error = GPU_IS_LOST
    periods = []
    for _ in range(300):
        with pytest.raises(SensorError):
            found.read()
        periods.append(sensor.period_s)
        found.wait(sensor.period_s or 1.0)
    assert periods[:30] == [0.1] * 30
    assert periods[-1] is None
    found.driver.boards[0].error = None
    found.read_until_told()
    assert sensor.period_s is None


def test_where_no_board_answers_any_more_the_driver_is_opened_anew() -> None:
    found = machine(Board("GPU-a"))
    found.driver.boards[0].error = GPU_IS_LOST
    found.driver.calls.clear()
    with pytest.raises(SensorError):
        found.read()
    assert found.driver.calls.count("nvmlShutdown") == found.driver.calls.count("nvmlInit") == 1


def test_after_a_reload_of_the_driver_the_boards_are_found_by_their_uuid() -> None:
    found = machine(Board("GPU-a"), Board("GPU-b", energy_mj=7_000_000))
    found.driver.unload()
    for number in (0, 1):
        with pytest.raises(SensorError):
            found.read(number)
    found.driver.boards.reverse()
    for board in found.driver.boards:
        board.energy_mj = 1_200
    found.driver.loaded = True
    assert found.read_until_told(0).device.uuid == "GPU-a"
    assert found.read_until_told(1).device.uuid == "GPU-b"
    assert found.read_until_told(1).energy_counter == 1_200


def test_nonsense_is_passed_on_as_it_is() -> None:
    reading = machine(Board("GPU-a", energy_mj=2**63 - 1, average_mw=4_000_000_000)).read()
    assert (reading.energy_counter, reading.power_w) == (2**63 - 1, 4_000_000.0)


def test_a_count_that_the_wire_has_no_room_for_is_none() -> None:
    reading = machine(Board("GPU-a", energy_mj=2**64 - 1)).read()
    assert (reading.energy_counter, reading.power_w) == (None, 612.0)


def test_a_changed_power_limit_is_told() -> None:
    found = machine(Board("GPU-a"))
    limits_w = []
    for second in range(12):
        if second == 3:
            found.driver.boards[0].limit_mw = 400_000
        limits_w.append(found.read().device.power_limit_w)
        found.wait(1.0)
    assert limits_w[0] == 700.0
    assert limits_w[-1] == 400.0


# --- faults ---


def test_faults_are_told_once() -> None:
    found = machine(Board("GPU-a"))
    (board,) = found.driver.boards
    (sensor,) = found.probe.sensors
    assert isinstance(sensor, FaultSensor)
    found.read()
    assert sensor.take_faults() == []
    assert board.xids is not None
    board.xids += [79, 31]
    board.ecc_uncorrected = 2
    found.wait(6.0)
    found.read()
    faults = sensor.take_faults()
    assert [(fault.xid, fault.ecc_uncorrected_errors) for fault in faults] == [
        (79, None),
        (31, None),
        (None, 2),
    ]
    assert {(fault.device.uuid, fault.time) for fault in faults} == {("GPU-a", 1006.0)}
    assert sensor.take_faults() == []


# --- what stands in the way ---


def test_a_board_that_tells_nothing_is_named() -> None:
    silent = Board("GPU-s", "GeForce GT 710")
    silent.tells_nothing()
    probe = machine(Board("GPU-a"), silent).probe
    assert [device.uuid for device in probe.devices] == ["GPU-a"]
    assert probe.problem == "GeForce GT 710 (GPU-s) tells neither energy nor power"


def test_without_a_driver_there_is_no_sensor_and_a_remedy() -> None:
    probe = nvml.probe(lambda: 0.0, None, Nvml(loaded=False), {})
    assert not probe.found
    assert probe.sensor.read() == []
    assert probe.problem == "NVML: Driver Not Loaded"
    assert "nvidia-smi" in str(probe.remedy)
    assert probe.hidden
