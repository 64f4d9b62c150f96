"""What a sensor is, and what it says: raw readings, whose arithmetic is left to the ledger."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from trimtab.vocabulary import Component

LOG = logging.getLogger("trimtab")


class SensorError(RuntimeError):
    """A sensor cannot be read; says which, why, and the remedy."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What is fixed about a measured device.

    `method` says how its energy is known (counter, power_average, power_instant, model). A count of its
    energy counter is `counter_unit_j` joules; the counter wraps at `counter_range` counts (None: never). It
    may draw `power_limit_w` at most; a power reading is the mean over the last `power_window_s` seconds and
    renewed every `power_update_s`.
    """

    uuid: str
    component: Component
    name: str
    method: str
    counter_unit_j: float | None = None
    counter_range: int | None = None
    power_limit_w: float | None = None
    power_window_s: float | None = None
    power_update_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a device at `time`, Unix seconds; None is what it does not say.

    `util` is 0 to 1, `temp_c` degrees Celsius. `used_share` is this job's part of what the device did since
    the reading before, `held_share` the part of it that is allotted to this job (None: all of it, as far as
    is known). `gauges` is what else was read, by name with the unit in it.
    """

    device: DeviceInfo
    time: float
    power_w: float | None = None
    energy_counter: int | None = None
    util: float | None = None
    mem_used_bytes: float | None = None
    temp_c: float | None = None
    used_share: float | None = None
    held_share: float | None = None
    gauges: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """Trouble that a device or its driver told of at `time`, Unix seconds.

    `xid` is the number of NVIDIA's error report; `ecc_uncorrected_errors` how many such errors of its memory
    are new.
    """

    device: DeviceInfo
    time: float
    xid: int | None = None
    ecc_uncorrected_errors: int | None = None


class Sensor(Protocol):
    """One source of readings, of one or more devices.

    `scope` names the devices: two sensors of one scope would read the same ones. `period_s` is how often it
    wants to be read, in seconds (None: as all). `draw_times` asks for reading times drawn at random within
    each period: a momentary power read at fixed times falls on the same part of every training step.
    """

    name: str
    scope: str
    draw_times: bool
    period_s: float | None

    def read(self) -> list[Reading]:
        """Read every device once.

        Raises:
            SensorError: none of them could be read.
        """


@runtime_checkable
class EdgeSensor(Protocol):
    """A sensor whose counters stand still between renewals, and which can wait a moment for the next.

    It matters where a run begins and ends: a bare reading is as old as the renewal before it.
    """

    def read_first(self) -> list[Reading]:
        """Read at the beginning of a run; may take some tenths of a second.

        Raises:
            SensorError: nothing could be read.
        """

    def read_last(self) -> list[Reading]:
        """Read at the end of a run; may take some tenths of a second.

        Raises:
            SensorError: nothing could be read.
        """


@runtime_checkable
class FaultSensor(Protocol):
    """A sensor that hears of its devices' troubles."""

    def take_faults(self) -> list[Fault]:
        """Return those that were told since the last call."""


class NoSensor:
    """Stands in for hardware that is absent or unreadable: reads nothing."""

    scope = ""
    draw_times = False
    period_s: float | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self) -> list[Reading]:
        """Return nothing."""
        return []


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found of a kind of sensor: the sensor, its devices, and what stands in the way.

    `more` are further sensors of the kind: each is read in a thread of its own. `hidden`: the hardware is
    here, but cannot be read.
    """

    sensor: Sensor
    devices: tuple[DeviceInfo, ...] = ()
    problem: str | None = None
    remedy: str | None = None
    more: tuple[Sensor, ...] = ()
    hidden: bool = False

    @property
    def found(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.devices)

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """All sensors of the kind."""
        return (self.sensor, *self.more)


@dataclass(slots=True)
class TellOnce:
    """Logs each thing once, by its name and `which` of that name it is."""

    told: set[tuple[str, str]] = field(default_factory=set)

    def __call__(self, name: str, message: str, which: str = "") -> None:
        """Log a message unless one of this was logged before."""
        if (name, which) not in self.told:
            self.told.add((name, which))
            LOG.warning("trimtab: %s: %s", name, message)
