"""The settings among which cross-validation chooses: all combinations of a few values, and those shipped."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Final

from pydantic import ValidationError

from trimtab_monitor.detectors import DetectorSettings

Point = Mapping[str, float]
"""Values by the setting's place, `detector.setting`; any other setting is as shipped."""

AXES: Final[Mapping[str, tuple[float, ...]]] = {
    "loss_spike.min_rise": (0.045, 0.06, 0.08),
    "loss_spike.sustained_surprise": (18.0, 24.0, 32.0),
    "loss_spike.critical_rise": (0.25, 0.32),
}

MOST_POINTS: Final = 24
"""Each costs a run over all curves; and the more there are, the more the best of them is chance."""


def points() -> list[Point]:
    """All points; the first is what is shipped."""
    made: list[Point] = [{}]
    made += [dict(zip(AXES, values, strict=True)) for values in product(*AXES.values())]
    if len(made) > MOST_POINTS + 1:
        raise ValueError(
            f"{__name__}: {len(made) - 1} combinations; leave out values until {MOST_POINTS} are left"
        )
    return made


def settings_at(point: Point) -> DetectorSettings:
    """The settings of a point.

    Raises:
        ValueError: a setting of that name or with that value does not exist any more.
    """
    nested: dict[str, dict[str, float]] = {}
    for place, value in point.items():
        detector, name = place.split(".")
        nested.setdefault(detector, {})[name] = value
    try:
        return DetectorSettings.model_validate(nested)
    except ValidationError as error:
        raise ValueError(f"{__name__}: {dict(point)} are no settings; mend AXES:\n{error}") from None


def told(point: Point) -> str:
    """A point in words."""
    return ", ".join(f"{place} {value:g}" for place, value in point.items()) or "as shipped"
