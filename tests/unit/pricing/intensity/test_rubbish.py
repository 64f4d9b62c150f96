"""Whatever JSON a provider answers with, it is a failure that is told or values that can be."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab_monitor.pricing.intensity.electricity_maps import ElectricityMaps
from trimtab_monitor.pricing.intensity.http import Getter
from trimtab_monitor.pricing.intensity.provider import Provider, ProviderFailed
from trimtab_monitor.pricing.intensity.uk import UkCarbonIntensity
from trimtab_monitor.pricing.intensity.values import HOUR_S, ValueRefused
from trimtab_monitor.pricing.intensity.watttime import WattTime

H0 = 1_767_225_600
TIMES = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:30Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+23:59",
    "now",
]
KEYS = [
    "data",
    "meta",
    "history",
    "zone",
    "carbonIntensity",
    "datetime",
    "emissionFactorType",
    "isEstimated",
    "token",
    "units",
    "region",
    "data_point_period_seconds",
    "point_time",
    "value",
    "from",
    "intensity",
    "actual",
    "forecast",
]
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([*TIMES, "FR", "lifecycle", "lbs_co2_per_mwh", 10**400, -1, 0, 3600, ""])
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
entry = st.fixed_dictionaries(
    {},
    optional={
        "zone": st.just("FR") | leaves,
        "carbonIntensity": leaves,
        "datetime": leaves,
        "point_time": leaves,
        "value": leaves,
        "from": leaves,
        "intensity": st.fixed_dictionaries({}, optional={"actual": leaves, "forecast": leaves}) | leaves,
    },
)
meta = st.fixed_dictionaries(
    {"units": st.just("lbs_co2_per_mwh") | leaves}, optional={"data_point_period_seconds": leaves}
)
shaped = st.fixed_dictionaries(
    {"data": st.lists(entry | anything, max_size=3), "history": st.lists(entry, max_size=3), "meta": meta},
    optional={"token": leaves},
)


class Told(Getter):
    """Answers everything with the same."""

    answer: Any = None

    def get(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        return {"token": "t"} if path == "/login" and not isinstance(self.answer, list) else self.answer


def providers(answer: object) -> list[Provider]:
    getter = Told("http://x", "settings")
    getter.answer = answer
    return [
        ElectricityMaps(getter, "FR", "lifecycle", lambda: "t"),
        WattTime(getter, "FR", lambda: ("u", "p")),
        UkCarbonIntensity(getter),
    ]


@pytest.mark.parametrize("which", range(3))
@settings(max_examples=80, deadline=None)
@given(answer=anything | shaped)
def test_nothing_else_comes_of_it(which: int, answer: object) -> None:
    with suppress(ProviderFailed, ValueRefused):
        for value in providers(answer)[which].fetch(H0, H0 + 2 * HOUR_S, H0 + HOUR_S + 60.0):
            assert isfinite(value.g_per_kwh)
            assert 0 <= value.g_per_kwh <= 5_000
            assert H0 <= value.hour < H0 + 2 * HOUR_S
