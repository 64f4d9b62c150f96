"""Whether a figure that was published agrees with the inputs that were published beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trimtab_monitor.pricing.places import Intensity, places
from trimtab_monitor.report import figures

TOLERANCE: Final = 0.05
"""Relative: published figures are rounded or cut, to two digits at the least."""
_SAME: Final = 0.02
_LISTED: Final = 5
_MOST_KG: Final = 1e15


@dataclass(frozen=True, slots=True)
class Published:
    """A published figure in kg of CO2e beside what its inputs come to.

    `computed_kg` is none if no intensity was given, `market_kg` if no contract was; `kwh` is the energy of
    the site, above 0.

    Raises:
        ValueError: what was published is not a mass.
    """

    published_kg: float
    computed_kg: float | None
    kwh: float
    pue: float
    market_kg: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.published_kg <= _MOST_KG:
            raise ValueError(
                f"--published-kg {self.published_kg:g}: give kilograms of CO2e, from 0 to {_MOST_KG:g}"
            )

    @property
    def implied_g_per_kwh(self) -> float:
        """The carbon intensity with which these inputs would come to the published figure."""
        return self.published_kg * 1_000 / self.kwh

    @property
    def near(self) -> list[Intensity]:
        """Places whose intensity is within the tolerance of the implied one, the nearest first."""
        implied = self.implied_g_per_kwh
        usable = [each for each in places() if each.quality != "suspect_zero"]
        near = [each for each in usable if abs(each.g_per_kwh - implied) <= TOLERANCE * implied]
        return sorted(near, key=lambda each: abs(each.g_per_kwh - implied))

    @property
    def agrees(self) -> bool:
        """Whether its inputs come to it or, if they name no intensity, would at a place of the table."""
        if self.computed_kg is None:
            return bool(self.near)
        return math.isclose(self.published_kg, self.computed_kg, rel_tol=TOLERANCE)

    def as_json(self) -> Mapping[str, Any]:
        """The key `published` of the estimate."""
        return {
            "published_kg": self.published_kg,
            "computed_kg": self.computed_kg,
            "agrees": self.agrees,
            "implied_g_per_kwh": self.implied_g_per_kwh,
            "places_so": [each.key for each in self.near[:_LISTED]],
            "verdict": self.verdict(),
        }

    def verdict(self) -> str:
        """The judgement in a sentence or three."""
        parts = (self._against_inputs(), self._against_places(), self._likely_reason())
        return " ".join(part for part in parts if part)

    def _against_inputs(self) -> str:
        published = figures.mass(self.published_kg * 1_000)
        if self.computed_kg is None:
            return f"{published} needs {self.implied_g_per_kwh:.4g} g/kWh."
        computed = figures.mass(self.computed_kg * 1_000)
        if self.agrees:
            return f"{published} agrees with its inputs, which come to {computed}."
        return (
            f"{published} does not agree with its inputs, which come to {computed}: "
            f"it needs {self.implied_g_per_kwh:.4g} g/kWh."
        )

    def _against_places(self) -> str:
        if self.computed_kg is not None and self.agrees:
            return ""
        if self.near:
            listed = ", ".join(each.label for each in self.near[:_LISTED])
            return f"Places of the table with such an intensity: {listed}."
        return "No place of the table has such an intensity."

    def _likely_reason(self) -> str:
        if self.computed_kg is not None and self.agrees:
            return ""
        if self.market_kg is not None and math.isclose(self.published_kg, self.market_kg, rel_tol=TOLERANCE):
            return "It is what the contract comes to: say that it is market-based."
        if self.published_kg == 0:
            return "Zero can only be market-based: give the contract beside it."
        return self._likely_slip(self.computed_kg) if self.computed_kg else ""

    def _likely_slip(self, computed_kg: float) -> str:
        ratio = self.published_kg / computed_kg
        slips = {
            1e-3: "It would agree in tonnes.",
            1e3: "It would agree in grams.",
            self.pue: "It would agree if the PUE was applied twice.",
            1 / self.pue: "It would agree if the PUE was left out.",
        }
        return next(
            (told for factor, told in slips.items() if math.isclose(ratio, factor, rel_tol=_SAME)), ""
        )
