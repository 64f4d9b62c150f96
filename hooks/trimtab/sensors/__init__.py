"""The sensors that can be read on this machine: energy, power, utilisation, memory and temperature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimtab.sensors import host_model, nvml, rapl
from trimtab.sensors.members import Members
from trimtab.sensors.reading import DeviceInfo, NoSensor, Probe, Reading, Sensor, SensorError
from trimtab.sensors.steady_clock import SteadyClock

__all__ = [
    "DeviceInfo",
    "NoSensor",
    "Probe",
    "Reading",
    "Sensor",
    "SensorError",
    "SteadyClock",
    "describe",
    "find_sensors",
    "load",
]


def find_sensors(members: Members | None = None, clock: Callable[[], float] | None = None) -> list[Sensor]:
    """Return the sensors that have something to read; readings bear the times of `clock`, Unix seconds.

    `members` are the processes of the run: without them, nothing is known of who shares a device.
    """
    found = [probe for probe in probes(clock or SteadyClock(), members) if probe.found]
    return [sensor for probe in found for sensor in probe.sensors]


def load() -> None:
    """Import what `find_sensors` needs, on the calling thread: on another it would hold up the training."""
    nvml.load()


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
    """Look for every kind of sensor; the model of the host only where nothing measures its CPUs."""
    measured = [nvml.probe(clock, members), rapl.probe(clock)]
    return measured if measures_cpus(measured) else [*measured, host_model.probe(clock)]


def measures_cpus(found: list[Probe]) -> bool:
    """Tell whether a package, or a module with the CPU in it, is measured: a model would add to it."""
    components = {device.component for probe in found for device in probe.devices}
    return bool(components & {"package", "module"})
