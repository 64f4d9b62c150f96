"""A double of the module amdsmi, over made-up GPUs: the calls that the sensors make, without a driver.

Names, shapes and units are those of version 7. A value of None is one that a GPU does not tell: an error
where the call is for it alone, the word `N/A` in a table. Values may be changed while a test runs.
"""

# ruff: noqa: D102 (the meanings are amdsmi's)

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

_NOT_SUPPORTED: Final = 2
_NOT_INIT: Final = 32


class AmdSmiError(Exception):
    """What the library answers where it cannot do what it is asked."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"Error code:\n\t{code} | {text}")


class _Clock(IntEnum):
    GFX = 1
    MEM = 5


class _Heat(IntEnum):
    HOTSPOT = 1


class _Metric(IntEnum):
    CURRENT = 0


class _Memory(IntEnum):
    VRAM = 0


@dataclass
class AmdGpu:
    """A made-up GPU. `hip_id` None: the version of the library has no enumeration."""

    uuid: str
    name: str = "AMD Instinct MI300X"
    energy_count: int | None = 1_000_000
    resolution_uj: float = 15.258999824523926
    counted_at_ns: int = 499_950_000_000
    average_w: int | None = None
    current_w: int | None = 717
    limit_uw: int | None = 750_000_000
    busy_percent: int | None = 87
    used_bytes: int | None = 2**30
    temperature: int | None = 61
    clock_mhz: int | None = 2100
    hip_id: int | None = 0
    hip_uuid: str = ""
    render_node: int | str = "N/A"


@dataclass
class AmdSmi:
    """The module."""

    gpus: list[AmdGpu] = field(default_factory=list)
    driver: bool = True

    AmdSmiException = AmdSmiError
    AmdSmiClkType = _Clock
    AmdSmiTemperatureType = _Heat
    AmdSmiTemperatureMetric = _Metric
    AmdSmiMemoryType = _Memory

    def amdsmi_init(self) -> None:
        if not self.driver:
            raise AmdSmiError(_NOT_INIT, "AMDSMI_STATUS_NOT_INIT - Device not initialized")

    def amdsmi_get_processor_handles(self) -> list[AmdGpu]:
        return self.gpus

    def amdsmi_get_gpu_device_uuid(self, gpu: AmdGpu) -> str:
        return gpu.uuid

    def amdsmi_get_gpu_asic_info(self, gpu: AmdGpu) -> dict[str, Any]:
        return {"market_name": gpu.name, "vendor_name": "Advanced Micro Devices Inc. [AMD/ATI]"}

    def amdsmi_get_gpu_enumeration_info(self, gpu: AmdGpu) -> dict[str, Any]:
        return {"drm_render": gpu.render_node, "hip_id": told(gpu.hip_id), "hip_uuid": gpu.hip_uuid}

    def amdsmi_get_energy_count(self, gpu: AmdGpu) -> dict[str, Any]:
        return {
            "energy_accumulator": told(gpu.energy_count),
            "counter_resolution": gpu.resolution_uj,
            "timestamp": gpu.counted_at_ns,
        }

    def amdsmi_get_power_info(self, gpu: AmdGpu) -> dict[str, Any]:
        return {
            "current_socket_power": or_word(gpu.current_w),
            "average_socket_power": or_word(gpu.average_w),
            "gfx_voltage": "N/A",
        }

    def amdsmi_get_power_cap_info(self, gpu: AmdGpu) -> dict[str, Any]:
        return {"power_cap": told(gpu.limit_uw)}

    def amdsmi_get_gpu_activity(self, gpu: AmdGpu) -> dict[str, Any]:
        return {"gfx_activity": or_word(gpu.busy_percent), "mm_activity": "N/A"}

    def amdsmi_get_gpu_memory_usage(self, gpu: AmdGpu, kind: _Memory) -> int:
        assert kind is _Memory.VRAM
        return told(gpu.used_bytes)

    def amdsmi_get_temp_metric(self, gpu: AmdGpu, where: _Heat, metric: _Metric) -> int:
        assert (where, metric) == (_Heat.HOTSPOT, _Metric.CURRENT)
        return told(gpu.temperature)

    def amdsmi_get_clock_info(self, gpu: AmdGpu, kind: _Clock) -> dict[str, Any]:
        return {"clk": told(gpu.clock_mhz) if kind is _Clock.GFX else "N/A", "max_clk": 2200}


def told(value: int | None) -> int:
    """Return a value, or fail as a GPU does that does not tell it."""
    if value is None:
        raise AmdSmiError(_NOT_SUPPORTED, "AMDSMI_STATUS_NOT_SUPPORTED - Feature not supported")
    return value


def or_word(value: int | None) -> int | str:
    """Return a value of a table, or the word that stands for none."""
    return "N/A" if value is None else value
