"""A GPU that is not as the others of the run: idle where they work, throttled, capped or too hot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.detectors.gauges import GAUGES, Gauges, Vector
from trimtab_monitor.detectors.odd_one_out import distances
from trimtab_monitor.types import Finding, Severity

Fault = Literal["idle", "throttled", "capped", "hot"]
POWER, UTIL, TEMP = range(3)

FEWEST_DEVICES: Final = 4
BUSY: Final = 0.2
"""Where the devices are used less than this, nobody works."""

HABIT: Final = 1.0 / 16.0
"""Weight of a window in how a device usually differs from the others."""

LEAST_DEVIATIONS: Final = (0.05, 0.05, 2.0)
"""The least standard deviations that are believed: power and utilisation as a share, degrees."""

METRIC: Final[Mapping[Fault, int]] = {"idle": UTIL, "throttled": POWER, "capped": POWER, "hot": TEMP}

TOLD: Final[Mapping[Fault, str]] = {
    "idle": "idle while they work",
    "throttled": "hotter and draws less, as if throttled",
    "capped": "draws less than it did beside them, as if capped or held up",
    "hot": "too hot",
}


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class FaultyDeviceSettings:
    """When a GPU counts as faulty. It is compared with those of its model, and with itself before."""

    window_s: Annotated[
        float, Field(gt=0, description="Readings are averaged, and devices compared, every so many seconds.")
    ] = 20.0
    windows: Annotated[int, Field(ge=1, description="It must be so for so many of those in a row.")] = 3
    distance: Annotated[
        float, Field(gt=0, description="Robust distance from the other devices that is told, in sigma.")
    ] = 4.0
    idle_share: Annotated[
        float, Field(gt=0, lt=1, description="Idle: utilisation below this share of the others'.")
    ] = 0.5
    power_share: Annotated[
        float, Field(gt=0, lt=1, description="Throttled or capped: power below this share of the others'.")
    ] = 0.85
    hotter_c: Annotated[
        float, Field(gt=0, description="Throttled: hotter than the others by so many degrees Celsius.")
    ] = 5.0
    too_hot_c: Annotated[
        float, Field(gt=0, description="Hot: above so many degrees Celsius, and twice as much hotter.")
    ] = 85.0
    alike: Annotated[
        float, Field(gt=0, le=0.5, description="If a larger share of the devices is so, it is by design.")
    ] = 0.25


@dataclass(slots=True)
class Strikes:
    """Windows in a row in which a device showed a fault, since which step; and those that were well since."""

    fault: str
    windows: int
    onset_step: int
    well: int = 0


@dataclass(slots=True)
class FaultyDevice:
    """Tells of a GPU by its power, utilisation and temperature together, averaged over some seconds.

    First by what a fault looks like: idle (hardly used while the others work), throttled (hotter, and draws
    less), capped (draws less at the same utilisation), hot. Only where something looks so, the vectors of all
    are compared, robustly and, if they are many, with scikit-learn: so a healthy run never loads it.

    Each device is also measured against how it usually differs from the others, for stages of a pipeline
    differ by design. What was so from the start is told as a mark (info) only, but for throttling, which
    nobody designs.

    >>> from array import array
    >>> detector = FaultyDevice()
    >>> for window in range(8):
    ...     for number in range(4):
    ...         watts = array("d", [400.0 if number == 2 and window > 3 else 600.0])
    ...         board = ("host", "boot", f"GPU-{number}", "gpu", "H100", "counter")
    ...         detector.read(wire.Device(*board, time=array("d", [0.0]), power_w=watts))
    ...     for found in detector.judge(step=window, now=1000.0 + 20.0 * window):
    ...         print(found.step, found.onset_step, found.evidence["device"], found.evidence["what"])
    6 4 GPU-2 draws less than it did beside them, as if capped or held up (400 W, they 600 W)
    """

    kind: ClassVar[str] = "faulty_device"
    settings: FaultyDeviceSettings = field(default_factory=FaultyDeviceSettings)
    gauges: Gauges = field(default_factory=Gauges)
    usual: dict[str, list[float]] = field(default_factory=dict)
    """How each device usually differs: its share of the others' power and utilisation, and degrees above."""
    strikes: dict[str, Strikes] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether a device that was told of still shows its fault."""
        return bool(self.told)

    def read(self, device: wire.Device) -> None:
        """Take in readings of a device."""
        self.gauges.add(device)

    def judge(self, step: int, now: float, trains: bool = True) -> list[Finding]:
        """Compare the devices if a window has passed by `now`, Unix seconds of the collector's clock.

        A window at whose end the run does not train tells nothing.
        """
        means = self.gauges.close(now, self.settings.window_s)
        if not means or not trains:
            return []
        self._forget_the_gone()
        models: dict[str, dict[str, Vector]] = {}
        for key, vector in means.items():
            models.setdefault(self.gauges.devices[key].name, {})[key] = vector
        found: list[Finding] = []
        for group in models.values():
            if len(group) >= FEWEST_DEVICES:
                found += self._compare(group, step, now)
        return found

    def rewind(self, step: int) -> None:
        """The run goes on from `step`: the devices are what they were."""
        del step

    def _compare(self, group: dict[str, Vector], step: int, now: float) -> list[Finding]:
        middle = _middle(group)
        util = middle[UTIL]
        if util is not None and util < BUSY:
            return []
        ratios = {key: _ratios(vector, middle) for key, vector in group.items()}
        suspects = {key: fault for key, ratio in ratios.items() if (fault := self._fault(key, ratio, group))}
        if len(suspects) > max(1, int(self.settings.alike * len(group))):
            suspects = {}
        scores = _scores(group, ratios) if suspects else {}
        found: list[Finding] = []
        for key, ratio in ratios.items():
            fault = suspects.get(key)
            if fault is None or scores.get(key, 0.0) < self.settings.distance:
                self._is_well(key, ratio)
            elif self._lasts(key, fault, step):
                found.append(self._finding(key, fault, group[key], middle, scores[key], step, now))
        return found

    def _fault(self, key: str, ratio: list[float], group: dict[str, Vector]) -> Fault | None:
        """What this device looks like it has, beside the others; None if it looks well."""
        settings, (power, util, hotter) = self.settings, ratio
        temp = group[key][TEMP]
        if util < settings.idle_share:
            return "idle"
        if power < settings.power_share and hotter >= settings.hotter_c:
            return "throttled"
        if power < settings.power_share and self._is_new(key, POWER, power):
            return "capped"
        if temp is not None and temp >= settings.too_hot_c and hotter >= 2.0 * settings.hotter_c:
            return "hot"
        return None

    def _is_new(self, key: str, gauge: int, ratio: float) -> bool:
        """Whether a device is lower than it usually is, not by design."""
        usual = self.usual.get(key)
        return usual is not None and ratio < self.settings.power_share * min(1.0, usual[gauge])

    def _is_well(self, key: str, ratio: list[float]) -> None:
        """What was told is over after as many windows as it took to tell; until then it may be a lull."""
        strikes = self.strikes.get(key)
        if strikes is not None and key in self.told and strikes.well + 1 < self.settings.windows:
            strikes.well += 1
            return
        self.strikes.pop(key, None)
        self.told.pop(key, None)
        usual = self.usual.setdefault(key, ratio)
        self.usual[key] = [old + HABIT * (new - old) for old, new in zip(usual, ratio, strict=True)]

    def _lasts(self, key: str, fault: Fault, step: int) -> bool:
        """Count a window with a fault; True if that is to be told now."""
        strikes = self.strikes.setdefault(key, Strikes(fault, 0, step))
        strikes.fault, strikes.well = fault, 0
        strikes.windows += 1
        if strikes.windows < self.settings.windows or key in self.told:
            return False
        self.told[key] = fault
        return True

    def _forget_the_gone(self) -> None:
        known = self.gauges.devices
        for memory in (self.usual, self.strikes, self.told):
            for key in memory.keys() - known.keys():
                del memory[key]

    def _finding(
        self, key: str, fault: Fault, vector: Vector, middle: Vector, score: float, step: int, now: float
    ) -> Finding:
        gauge, device = METRIC[fault], self.gauges.devices[key]
        by_design = key not in self.usual and fault != "throttled"
        severity: Severity = "info" if by_design else "warning"
        evidence: dict[str, Any] = {
            "fault": fault,
            "what": f"{TOLD[fault]} ({_beside(vector, middle)})",
            "device": device.uuid,
            "host": device.host,
            "model": device.name,
            "from_the_start": key not in self.usual,
        }
        for name, value, others in zip(GAUGES, vector, middle, strict=True):
            if value is not None and others is not None:
                evidence |= {name: value, f"{name}_of_others": others}
        return Finding(
            kind=self.kind,
            metric=GAUGES[gauge],
            severity=severity,
            step=step,
            time=now,
            onset_step=min(self.strikes[key].onset_step, step),
            value=vector[gauge] or 0.0,
            expected=middle[gauge] or 0.0,
            score=score,
            evidence=evidence,
        )


def _middle(group: dict[str, Vector]) -> Vector:
    """The median of each gauge over the devices that have it; none where some have not."""
    power, util, temp = (
        median([value for value in column if value is not None]) if None not in column else None
        for column in zip(*group.values(), strict=True)
    )
    return power, util, temp


def _ratios(vector: Vector, middle: Vector) -> list[float]:
    """Its share of the others' power and utilisation, and the degrees that it is hotter."""
    shares = [
        1.0 if value is None or not others else value / others
        for value, others in zip(vector[:TEMP], middle[:TEMP], strict=True)
    ]
    temp, others = vector[TEMP], middle[TEMP]
    return [*shares, 0.0 if temp is None or others is None else temp - others]


def _beside(vector: Vector, middle: Vector) -> str:
    """All that was measured of a device, each beside the others' median."""
    shown = (("{:.0f} W", 1.0), ("{:.0f} % used", 100.0), ("{:.0f} degrees C", 1.0))
    told = [
        f"{text.format(value * factor)}, they {text.format(others * factor)}"
        for (text, factor), value, others in zip(shown, vector, middle, strict=True)
        if value is not None and others is not None
    ]
    return "; ".join(told)


def _scores(group: dict[str, Vector], ratios: dict[str, list[float]]) -> dict[str, float]:
    """The robust distance of each device from the others."""
    return dict(zip(group, distances(list(ratios.values()), LEAST_DEVIATIONS), strict=True))
