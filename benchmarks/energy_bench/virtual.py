"""Trimtab's sensors and ledger on a virtual clock: minutes of a trace take milliseconds, always the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from energy_bench.cases import Case
from energy_bench.driver import Script, VirtualClock, load_pynvml, playing
from energy_bench.meter import Meter, Told
from energy_bench.powercap import PowercapTree
from trimtab.sensors.cpu import rapl
from trimtab.sensors.nvidia import nvml
from trimtab.sensors.reading import EdgeSensor, Reading, Sensor, SensorError
from trimtab.sensors.readings import Readings
from trimtab.sensors.sampler import PERIOD_S, next_due

EPOCH: Final = 1_700_000_000.0
"""Second 0 of a script in Unix seconds."""
BATCH_S: Final = 5.0
"""How often readings are sent."""
FOUND_S: Final = 0.02
"""How long after the job's start the sensors are found."""
_PASSES_S: Final = 1e-6
"""What passes between two looks at a clock, which by itself stands still."""


class VirtualRun:
    """Reads sensors when a sampler would, each as if in a thread of its own, and sends what they say.

    `renew` is called with the time before each reading.
    """

    def __init__(
        self,
        clock: VirtualClock,
        seconds: float,
        *,
        renew: Callable[[float], None] = lambda _: None,
        seed: int = 0,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._renew = renew
        self._random = random.Random(seed)

    def measure(self, sensors: Iterable[Sensor], components: tuple[str, ...]) -> Told:
        """Run the job from second 0 to its end, and return what it used on devices of these kinds."""
        meter = Meter("boot1", EPOCH)
        for sensor in sensors:
            self._follow(sensor, meter)
        return meter.close(EPOCH + self._seconds, components)

    def _follow(self, sensor: Sensor, meter: Meter) -> None:
        held, sent_s = Readings("node1", "boot1"), 0.0
        for read in self._reads(sensor):
            self._renew(self._clock())
            try:
                held.add(read())
            except SensorError:
                continue
            if self._clock() >= sent_s + BATCH_S:
                meter.take(held.drain())
                sent_s = self._clock()
        meter.take(held.drain())

    def _reads(self, sensor: Sensor) -> Iterator[Callable[[], list[Reading]]]:
        """Put the clock to each time at which the sampler reads, and yield what it calls then."""
        edges = sensor if isinstance(sensor, EdgeSensor) else None
        self._clock.set(FOUND_S)
        yield edges.read_first if edges else sensor.read
        start_s = self._clock()
        while True:
            share = self._random.random() if sensor.draw_times else 0.0
            due_s = next_due(start_s, self._clock() + _PASSES_S, sensor.period_s or PERIOD_S, share)
            if due_s >= self._seconds:
                break
            self._clock.set(due_s)
            yield sensor.read
        self._clock.set(max(self._clock(), self._seconds))
        yield edges.read_last if edges else sensor.read


def measure(case: Case, library: Path, folder: Path) -> Told:
    """Let Trimtab measure a case: sensor, wire and ledger, with the driver in this process."""
    with VirtualClock(folder / "clock") as clock:
        if case.zones:
            tree = PowercapTree(folder / "powercap", case.zones)
            found = rapl.probe(_unix(clock), root=tree.root)
            told = VirtualRun(clock, case.seconds, renew=tree.set).measure(found.sensors, case.components)
            tree.close()
            return told
        nvml_module = load_pynvml(library)
        with playing(Script(case.boards, clock=clock), folder / "script"):
            found = nvml.probe(_unix(clock), nvml=nvml_module, environ={}, pause=clock.sleep)
            return VirtualRun(clock, case.seconds).measure(found.sensors, case.components)


def _unix(clock: VirtualClock) -> Callable[[], float]:
    """Return a sensors' clock that goes with a virtual one."""
    return lambda: EPOCH + clock()
