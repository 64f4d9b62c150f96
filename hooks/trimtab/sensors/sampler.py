"""Reads the sensors of a host, once a second, in one process of a run.

All ranks of a run on a host have a sampler; each sensor is read by the one that holds its lock, and by
another if that one dies. Two runs on a host read the same devices, each for itself: the collector
divides what both read.
"""

from __future__ import annotations

import functools
import math
import random
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from trimtab import identity
from trimtab.guard import Guard
from trimtab.sensors import Sensor, SensorError, find_sensors, load
from trimtab.sensors.host_lock import HostLock
from trimtab.sensors.reading import EdgeSensor, Fault, FaultSensor, Reading, TellOnce
from trimtab.sensors.readings import Readings
from trimtab.sensors.share.members import Members
from trimtab.vocabulary import DEVICE_FAULT, Device

PERIOD_S: Final = 1.0
RETRY_S: Final = 2.0
"""How often a process that does not read a sensor looks whether its reader has died: until then no power is
known."""
_STOP_S: Final = 1.0


class Sampler:
    """Reads every sensor in a thread of its own, so that a slow one delays no other.

    Readings bear the times of `clock`. `find` looks for the sensors, in the background; the first readings
    come at once. `lock_folder` is the system's folder for temporary files unless given: all processes of a
    host that share it read a device once. A sensor that can wait for the renewal of its counters does so at
    the beginning and at the end.
    """

    def __init__(
        self,
        run: str,
        clock: Callable[[], float],
        find: Callable[[Members, Callable[[], float]], Sequence[Sensor]] = find_sensors,
        *,
        guard: Guard | None = None,
        lock_folder: Path | None = None,
        period_s: float = PERIOD_S,
        retry_s: float = RETRY_S,
    ) -> None:
        boot_id = identity.boot_id()
        self._clock = clock
        self._find = find
        self._guard = guard or Guard()
        self._lock_prefix = f"trimtab-{boot_id}-{run}"
        self._lock_folder = lock_folder or Path(tempfile.gettempdir())
        self._period_s = period_s
        self._retry_s = retry_s
        self._members = Members(run, boot_id, self._lock_folder)
        self._host = identity.host_name()
        self._readings = Readings(self._host, boot_id)
        self._log = TellOnce()
        self._tell: Callable[[Mapping[str, Any]], None] = lambda _: None
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def dropped(self) -> int:
        """How many readings were dropped because nobody drained them."""
        return self._readings.dropped

    def start(self, tell: Callable[[Mapping[str, Any]], None] = lambda _: None) -> None:
        """Begin to read, in the background; `tell` takes the event of a device's fault, on any thread."""
        self._tell = tell
        self._members.join()
        with self._guard.shield("sampler: libraries of drivers"):
            load()
        self._spawn("sensors", self._begin)

    def drain(self) -> list[Device]:
        """Return the readings since the last call, one entry a device."""
        return self._readings.drain()

    def stop(self) -> None:
        """Take one last reading of each sensor and end, within a second; `drain` returns it after."""
        self._stopped.set()
        deadline = time.monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._members.leave()

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(
            target=self._shielded, args=(name, work), name=f"trimtab-{name}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _shielded(self, name: str, work: Callable[[], None]) -> None:
        with self._guard.shield(f"sampler: {name}"):
            work()

    def _begin(self) -> None:
        for sensor in self._find(self._members, self._clock):
            self._spawn(sensor.name, functools.partial(self._follow, sensor))

    def _follow(self, sensor: Sensor) -> None:
        """Read a sensor for as long as this process has its lock, and wait for the lock until then."""
        lock = HostLock(self._lock_folder / f"{self._lock_prefix}-{sensor.scope}.lock")
        while not lock.take():
            if self._stopped.wait(self._retry_s):
                return
        try:
            self._read_on(sensor)
        finally:
            lock.free()

    def _read_on(self, sensor: Sensor) -> None:
        """Read now, once in every period, and once more when stopped."""
        draw = random.Random()  # noqa: S311  (no secret; not the job's generator)
        edges = sensor if isinstance(sensor, EdgeSensor) else None
        faults = sensor if isinstance(sensor, FaultSensor) else None  # asked once: it takes long
        if not self._stopped.is_set():
            self._read(sensor, edges.read_first if edges else sensor.read, faults)
        start = time.monotonic()  # from where the first reading ended: just after a renewal, if it waited
        while not self._waits(sensor, start, draw):
            self._read(sensor, sensor.read, faults)
        self._read(sensor, edges.read_last if edges else sensor.read, faults)

    def _waits(self, sensor: Sensor, start: float, draw: random.Random) -> bool:
        """Wait until the next reading is due; True: this process is to end, and the next is the last."""
        now = time.monotonic()
        share = draw.random() if sensor.draw_times else 0.0
        return self._stopped.wait(next_due(start, now, sensor.period_s or self._period_s, share) - now)

    def _read(self, sensor: Sensor, read: Callable[[], list[Reading]], faults: FaultSensor | None) -> None:
        with self._guard.shield(f"sensor {sensor.name}"):
            try:
                self._readings.add(read())
            except SensorError as error:
                self._log(sensor.name, str(error), sensor.scope)
            for fault in faults.take_faults() if faults else ():
                self._tell(_event(fault, self._host))


def _event(fault: Fault, host: str) -> dict[str, Any]:
    device = fault.device
    told = {"xid": fault.xid, "ecc_uncorrected_errors": fault.ecc_uncorrected_errors}
    return {
        "kind": DEVICE_FAULT,
        "step": None,
        "time": fault.time,
        "host": host,
        "uuid": device.uuid,
        "device": device.name,
        **{name: value for name, value in told.items() if value is not None},
    }


def next_due(start: float, now: float, period_s: float, share: float) -> float:
    """Return when to read next: in the first period that begins after `now`, after `share` of it (0 to 1).

    Periods are counted from `start`, so that readings do not drift; those that a slow reading missed are
    left out.

    >>> next_due(start=100.0, now=100.2, period_s=1.0, share=0.0)
    101.0
    >>> next_due(start=100.0, now=103.7, period_s=1.0, share=0.5)
    104.5
    """
    return start + (math.floor((now - start) / period_s) + 1 + share) * period_s
