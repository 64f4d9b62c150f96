"""The sensors that can be read on this machine: energy, power, utilisation, memory and temperature."""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from typing import Any

from trimtab.sensors.amd import library as amd_library
from trimtab.sensors.amd import smi
from trimtab.sensors.cpu import grace, host_model, rapl
from trimtab.sensors.nvidia import jetson, nvml
from trimtab.sensors.reading import LOG, DeviceInfo, NoSensor, Probe, Reading, Sensor, SensorError
from trimtab.sensors.share.cpu_share import CpuShare, ShareOf, all_of_it
from trimtab.sensors.share.members import Members
from trimtab.steady_clock import SteadyClock
from trimtab.vocabulary import Component

__all__ = [
    "DeviceInfo",
    "NoSensor",
    "Probe",
    "Reading",
    "Sensor",
    "SensorError",
    "describe",
    "find_sensors",
    "load",
]


def find_sensors(members: Members | None, clock: Callable[[], float]) -> list[Sensor]:
    """Return the sensors that have something to read; readings bear the times of `clock`, Unix seconds.

    `members` are the processes of the run: without them, nothing is known of who shares a device. Hardware
    that is here but cannot be read is told in the job's log, with the remedy, by one process of a host.
    """
    looked = probes(clock, members)
    for probe in looked:
        if probe.hidden and not probe.found and _is_first(members):
            LOG.warning("trimtab: %s: %s: %s", probe.sensor.name, probe.problem, probe.remedy)
    return [sensor for probe in looked if probe.found for sensor in probe.sensors]


def load() -> None:
    """Import what `find_sensors` needs, on the calling thread: on another it would hold up the training."""
    nvml.load()
    amd_library.load()


def describe() -> list[dict[str, Any]]:
    """Say for every kind of sensor what was found, what stands in the way, and the remedy."""
    return [
        {
            "sensor": probe.sensor.name,
            "found": [
                {
                    "uuid": device.uuid,
                    "component": device.component,
                    "name": device.name,
                    "method": device.method,
                }
                for device in probe.devices
            ],
            "problem": probe.problem,
            "remedy": probe.remedy,
        }
        for probe in probes(SteadyClock())
    ]


def probes(clock: Callable[[], float], members: Members | None = None) -> list[Probe]:
    """Look for every kind of sensor on this machine."""
    share_of: ShareOf = all_of_it if members is None else CpuShare(members)
    return arrange(
        [nvml.probe(clock, members), smi.probe(clock)],
        rapl=lambda: rapl.probe(clock, share_of),
        grace=lambda covered: grace.probe(clock, covered, share_of),
        jetson=lambda: jetson.probe(clock, share_of),
        host_model=lambda: host_model.probe(clock, share_of),
    )


def arrange(
    gpus: list[Probe],
    *,
    rapl: Callable[[], Probe],
    grace: Callable[[Set[Component]], Probe],
    jetson: Callable[[], Probe],
    host_model: Callable[[], Probe],
) -> list[Probe]:
    """Look for what may stand beside the GPUs, so that nothing is counted twice.

    GPUs, CPU packages and their memory add up. A module is CPU, GPU and memory in one (Grace Hopper, MI300A,
    Jetson): where a GPU's sensor tells a module's energy, CPUs are not read; where GPUs are read by
    themselves, a module's own meter is not. The model of the host is read only where nothing measures its
    CPUs.
    """
    found = list(gpus)
    if "module" not in components(found):
        found.append(rapl())
        found.append(grace(components(found)))
    if not components(found):
        found.append(jetson())
    if not components(found) & {"package", "module"}:
        found.append(host_model())
    return found


def components(found: list[Probe]) -> set[Component]:
    """Return what is measured so far."""
    return {device.component for probe in found for device in probe.devices}


def _is_first(members: Members | None) -> bool:
    """Tell whether this process is the first of its run on this host: what all could say, one says."""
    ranks = members.ranks() if members is not None else frozenset()
    return not ranks or min(ranks) == os.getpid()
