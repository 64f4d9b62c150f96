"""The last resort where no counter can be read: the CPUs' power from how busy they are.

power = cpus x WATTS_PER_CPU x (IDLE_SHARE + (1 - IDLE_SHARE) x (2 u - u^1.4))

with `cpus` the logical CPUs and `u` the part of their time in which they work, of the whole machine. The
curve is that of Fan, Weber and Barroso ("Power provisioning for a warehouse-sized computer", ISCA 2007): it
only rises, and at half load is nearer to the full than to the idle power, as servers' is. Servers of recent
years draw 3 to 5 W a logical CPU at full load and about a fifth of that idle. Take the figure as lying
between half and twice its value: published models from load, tried against counters, were off by -71 % to +7
% in the median of five CPUs, and by -81 % to +95 % at the extremes. Memory, disks and fans are not in it:
what a gigabyte of memory draws is given eight times higher by some sources than by others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import psutil

from trimtab.sensors.reading import DeviceInfo, Probe, Reading
from trimtab.sensors.share.cpu_share import ShareOf, all_of_it

WATTS_PER_CPU: Final = 4.0
IDLE_SHARE: Final = 0.2
_BEND: Final = 1.4


class CpuTimes(NamedTuple):
    """Seconds since the start of the machine, over all CPUs."""

    busy: float
    total: float


class HostModelSensor:
    """Estimates the power of the host's CPUs from the time they worked since the reading before."""

    name = "host model"
    scope = "host"
    draw_times = False
    period_s: float | None = None

    def __init__(
        self,
        clock: Callable[[], float],
        cpus: int,
        cpu_times: Callable[[], CpuTimes],
        share_of: ShareOf = all_of_it,
    ) -> None:
        self.device = DeviceInfo(
            uuid="host",
            component="host",
            name=(
                f"CPU estimate ({cpus} CPUs at {WATTS_PER_CPU:g} W, without memory; "
                "between half and twice the figure)"
            ),
            method="model",
        )
        self._clock = clock
        self._cpus = cpus
        self._cpu_times = cpu_times
        self._share_of = share_of
        self._last = cpu_times()

    def read(self) -> list[Reading]:
        """Return the mean power since the reading before; nothing if no time has passed."""
        share = self._share_of()
        last, self._last = self._last, self._cpu_times()
        passed = self._last.total - last.total
        if passed <= 0:
            return []
        busy = min(1.0, max(0.0, (self._last.busy - last.busy) / passed))
        return [
            Reading(
                self.device,
                self._clock(),
                power_w=modelled_power_w(self._cpus, busy),
                util=busy,
                used_share=share.used,
                held_share=share.held,
            )
        ]


def modelled_power_w(cpus: int, busy: float) -> float:
    """Return the modelled power in watts; the CPUs work for the part `busy` of their time.

    >>> modelled_power_w(16, 0.0), round(modelled_power_w(16, 0.5), 1), modelled_power_w(16, 1.0)
    (12.8, 44.6, 64.0)
    """
    load: float = 2 * busy - busy**_BEND
    return cpus * WATTS_PER_CPU * (IDLE_SHARE + (1 - IDLE_SHARE) * load)


def probe(
    clock: Callable[[], float],
    share_of: ShareOf = all_of_it,
    cpus: int | None = None,
    cpu_times: Callable[[], CpuTimes] | None = None,
) -> Probe:
    """Return the model of this host; it can always be made."""
    cpus = cpus or psutil.cpu_count() or 1
    sensor = HostModelSensor(clock, cpus, cpu_times or _host_cpu_times, share_of)
    return Probe(sensor, (sensor.device,), problem="an estimate from CPU load, not a measurement")


def _host_cpu_times() -> CpuTimes:
    """Read the CPUs' times; not `psutil.cpu_percent`, whose memory of its last call the job may be using."""
    times = psutil.cpu_times()
    # Linux counts the time of guests in user and nice as well.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return CpuTimes(busy=total - times.idle - getattr(times, "iowait", 0.0), total=total)
