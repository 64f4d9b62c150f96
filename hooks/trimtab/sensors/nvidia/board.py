"""One NVIDIA board as a sensor: its energy and power first, then how it fares, and its faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trimtab.sensors.nvidia.boards import Board
from trimtab.sensors.nvidia.driver import FIRST_PAUSE_S, LONGEST_PAUSE_S
from trimtab.sensors.nvidia.edges import USUAL_S, Edges, Renewal
from trimtab.sensors.nvidia.health import OFTEN_S, SELDOM_S, Health
from trimtab.sensors.nvidia.meter import Meter
from trimtab.sensors.nvidia.processes import Pids, Shares
from trimtab.sensors.nvidia.xids import Xids
from trimtab.sensors.reading import DeviceInfo, Fault, Reading, SensorError
from trimtab.sensors.rota import Rota, Task

QUICK_PERIOD_S: Final = 0.1
_POWER_WAIT_S: Final = 0.12
"""An averaged power is renewed every 100 ms: one that does not change for so long is constant."""
_POWER_POLL_S: Final = 0.01
_SOON_S: Final = 5.0
"""A board that was reset answers soon: for about so long it is asked ten times a second."""
_REST_S: Final = 0.2
"""How long a reading may go on with what is not energy or power."""


class NvmlSensor:
    """Reads one board; what it does not tell is None.

    A board that tells nothing more is looked for by its UUID, ever more seldom: the driver may have been
    loaded anew, or the board reset.
    """

    name = "nvml"

    def __init__(
        self,
        board: Board,
        meter: Meter,
        clock: Callable[[], float],
        pids: Pids,
        pause: Callable[[float], None],
    ) -> None:
        slices = "".join(f"-{slice_}" for slice_ in board.slices)
        self.scope = f"nvml-{board.uuid}{slices}".replace("/", "_")
        self.draw_times = False
        self.period_s: float | None = None
        self._board = board
        self._meter = meter
        self._clock = clock
        self._counts = Edges(meter.count, clock, pause)
        self._powers = Edges(meter.power_w, clock, pause, _POWER_WAIT_S, _POWER_POLL_S, USUAL_S)
        self._shares = Shares(board, pids)
        self._health = Health(board)
        self._xids = Xids(board)
        tasks = [Task(OFTEN_S, self._xids.ask), *self._health.tasks(), Task(SELDOM_S, meter.limit)]
        if not board.is_cut:
            tasks.append(Task(SELDOM_S, self._shares.ask))
        self._rota = Rota(tasks, clock)
        self._last_time = self._look_again_at = -float("inf")
        self._pause_s = FIRST_PAUSE_S
        self._set_pace(meter.device)
        board.driver.note(board.uuid, answers=True)

    @property
    def device(self) -> DeviceInfo:
        """The board, as its energy is best known."""
        return self._meter.device

    def read(self) -> list[Reading]:
        """Read the board once; see Sensor."""
        return self._read(self._powers.now)

    def _read(self, averaged: Callable[[], Renewal[float] | None]) -> list[Reading]:
        time, counter = self._clock(), self._meter.count()
        if counter is None and self._meter.averages:
            power = averaged()
            time, power_w = (power.time, power.value) if power else (time, None)
        else:
            power_w = self._meter.power_w()
        answers = counter is not None or power_w is not None
        self._board.driver.note(self.device.uuid, answers=answers)
        if not answers:
            self._look_again()
            raise SensorError(
                f"{self.device.name} ({self.device.uuid}) tells neither energy nor power any more"
            )
        self._pause_s = FIRST_PAUSE_S
        self._rota.turn(_REST_S)
        return [self._reading(time, counter, power_w)]

    def read_first(self) -> list[Reading]:
        """Read at the first renewals of the counter; see EdgeSensor."""
        counts = self._at_renewals(self._told_apart(self._counts.first()), self._meter.power_w)
        return counts or self._read(self._powers.renewed)

    def read_last(self) -> list[Reading]:
        """Read at the renewals before and after this moment, with the power now; see EdgeSensor.

        Of an averaged power the renewal before is read: the next shows time beyond the end too.
        """
        try:
            counts = self._at_renewals(self._told_apart(self._counts.last()), self._meter.power_now_w)
            return counts or self._read(self._powers.before)
        finally:
            self._xids.close()

    def take_faults(self) -> list[Fault]:
        """Return what the driver told of the board's troubles; see FaultSensor."""
        faults = [Fault(self.device, self._clock(), xid=xid) for xid in self._xids.take()]
        ecc_errors = self._health.take_ecc_errors()
        if ecc_errors:
            faults.append(Fault(self.device, self._clock(), ecc_uncorrected_errors=ecc_errors))
        return faults

    def _told_apart(self, counts: list[Renewal[int]]) -> list[Renewal[int]]:
        self._meter.blur(self._counts.took_s)
        return counts

    def _at_renewals(
        self, counts: list[Renewal[int]], read_power_w: Callable[[], float | None]
    ) -> list[Reading]:
        """Make readings of renewals of the counter; the power is that of the last of them."""
        power_w = read_power_w() if counts else None
        readings = []
        for number, count in enumerate(counts, start=1):
            if count.time > self._last_time:
                known_w = power_w if number == len(counts) else None
                readings.append(self._reading(count.time, count.value, known_w))
        return readings

    def _reading(self, time: float, counter: int | None, power_w: float | None) -> Reading:
        self._last_time = time
        device = self._meter.by_power if counter is None else self._meter.by_counter
        self._set_pace(device or self.device)
        told = self._health.take()
        return Reading(
            device or self.device,
            time,
            power_w=power_w,
            energy_counter=counter,
            util=told.pop("util", None),
            mem_used_bytes=told.pop("mem_used_bytes", None),
            temp_c=told.pop("temp_c", None),
            used_share=self._shares.used,
            held_share=self._board.held_share or self._shares.held,
            gauges=told,
        )

    def _set_pace(self, device: DeviceInfo) -> None:
        """A momentary power is read at random times, and ten times a second where nothing better is known."""
        power = self._meter.power
        self.draw_times = power is not None and power.method == "power_instant"
        self.period_s = QUICK_PERIOD_S if device.method == "power_instant" else None

    def _look_again(self) -> None:
        now = self._clock()
        if now >= self._look_again_at:
            self._board.find_again()
            self._look_again_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.period_s = QUICK_PERIOD_S if self._pause_s < _SOON_S else None
