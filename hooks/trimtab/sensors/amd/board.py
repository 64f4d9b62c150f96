"""What AMD SMI tells of one GPU, in our units; what it does not tell is None.

Shapes are those of `amdsmi` 6.1 to 7: a value that the hardware lacks is the word `N/A`, all bits set, or an
error. An energy count is of `counter_resolution` microjoules, its timestamp nanoseconds since the machine's
start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

_NOTHING: Final = frozenset({0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
_LARGEST_COUNT: Final = 2**63 - 1
_HOTTEST_C: Final = 200.0
_LARGEST_LIMIT_W: Final = 10_000


class Energy(NamedTuple):
    """An energy counter as it stood at `boot_s`, seconds since the machine's start."""

    counter: int
    unit_j: float
    boot_s: float


class Power(NamedTuple):
    """A GPU's power, and the method by which it is known."""

    watts: float
    method: str


class Board:
    """One GPU, or one die of a board that has two."""

    def __init__(self, smi: Any, handle: Any) -> None:
        self._smi = smi
        self._handle = handle

    def energy(self) -> Energy | None:
        """Return the energy counter; one that stands at zero is none."""
        told = self._table("amdsmi_get_energy_count")
        count = _number(told.get("energy_accumulator", told.get("power")))
        resolution = _number(told.get("counter_resolution"))
        if not count or not resolution or count > _LARGEST_COUNT:
            return None
        # It was a float of 32 bits: what follows its seventh digit is noise.
        unit_j = float(f"{resolution:.6g}e-6")
        return Energy(int(count), unit_j, (_number(told.get("timestamp")) or 0) * 1e-9)

    def power(self) -> Power | None:
        """Return the socket's power, averaged if it is told so."""
        told = self._table("amdsmi_get_power_info")
        average_w = _number(told.get("average_socket_power"))
        if average_w:
            return Power(float(average_w), "power_average")
        now_w = _number(told.get("current_socket_power")) or _number(told.get("socket_power"))
        return Power(float(now_w), "power_instant") if now_w else None

    def limit_w(self) -> float | None:
        """Return the most that the board may draw; older versions tell watts, later ones microwatts."""
        cap = _number(self._table("amdsmi_get_power_cap_info").get("power_cap"))
        return (cap * 1e-6 if cap > _LARGEST_LIMIT_W else float(cap)) if cap else None

    def util(self) -> float | None:
        """Return the part of the time that the compute units worked, 0 to 1."""
        percent = _number(self._table("amdsmi_get_gpu_activity").get("gfx_activity"))
        return None if percent is None else min(1.0, percent / 100)

    def memory_bytes(self) -> float | None:
        """Return the memory in use."""
        kind = getattr(self._smi, "AmdSmiMemoryType", None)
        used = None if kind is None else _number(self._ask("amdsmi_get_gpu_memory_usage", kind.VRAM))
        return None if used is None else float(used)

    def temp_c(self) -> float | None:
        """Return the temperature at the hottest spot; some versions tell it in thousandths."""
        kind = getattr(self._smi, "AmdSmiTemperatureType", None)
        if kind is None:
            return None
        now = self._smi.AmdSmiTemperatureMetric.CURRENT
        told = _number(self._ask("amdsmi_get_temp_metric", kind.HOTSPOT, now))
        if told is None:
            return None
        return told / 1000 if told > _HOTTEST_C else float(told)

    def clocks_mhz(self) -> dict[str, float]:
        """Return the clocks of compute units and memory, as gauges."""
        kind = getattr(self._smi, "AmdSmiClkType", None)
        if kind is None:
            return {}
        asked = {"sm_clock_mhz": kind.GFX, "mem_clock_mhz": kind.MEM}
        told = {
            name: _number(self._table("amdsmi_get_clock_info", which).get("clk"))
            for name, which in asked.items()
        }
        return {name: float(clock) for name, clock in told.items() if clock is not None}

    def name(self) -> str:
        """Return the model's name."""
        return str(self._table("amdsmi_get_gpu_asic_info").get("market_name") or "AMD GPU")

    def uuid(self) -> str | None:
        """Return the UUID by which amd-smi knows it."""
        told = self._ask("amdsmi_get_gpu_device_uuid")
        return str(told) if told else None

    def enumeration(self) -> Mapping[str, Any]:
        """Return HIP's index and UUID of it and the number of its render node; older versions do not tell."""
        return self._table("amdsmi_get_gpu_enumeration_info")

    def _table(self, function: str, *args: Any) -> Mapping[str, Any]:
        told = self._ask(function, *args)
        return told if isinstance(told, Mapping) else {}

    def _ask(self, function: str, *args: Any) -> Any | None:
        ask: Callable[..., Any] | None = getattr(self._smi, function, None)
        if ask is None:
            return None
        try:
            return ask(self._handle, *args)
        except self._smi.AmdSmiException:
            return None


def _number(told: Any) -> int | float | None:
    if isinstance(told, bool) or not isinstance(told, (int, float)) or told in _NOTHING or told < 0:
        return None
    return told
