"""Prices by the hour of the day, in the site's local time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab_monitor.pricing.tariff import TariffSettings

DAY, NIGHT = 0.30, 0.10
PARIS = {
    "time_zone": "Europe/Paris",
    "periods": [
        {"from": "06:00", "to": "22:00", "price": DAY},
        {"from": "22:00", "to": "06:00", "price": NIGHT},
    ],
}


def tariff(**given: Any) -> TariffSettings:
    return TariffSettings.model_validate({**PARIS, **given})


def price_at(day: str, utc_hour: int, made: TariffSettings | None = None) -> float:
    time = datetime.fromisoformat(f"{day}T{utc_hour:02}:00").replace(tzinfo=UTC)
    return round((made or tariff()).price_in(int(time.timestamp())), 9)


@pytest.mark.parametrize(
    ("day", "utc_hour", "price"),
    [
        ("2026-01-15", 4, NIGHT),  # 05:00 in Paris
        ("2026-01-15", 5, DAY),
        ("2026-01-15", 20, DAY),
        ("2026-01-15", 21, NIGHT),
        ("2026-07-15", 4, DAY),  # 06:00 in summer
        ("2026-07-15", 20, NIGHT),
        ("2026-03-28", 5, DAY),  # the day before the clocks go on
        ("2026-03-29", 4, DAY),
        ("2026-03-29", 3, NIGHT),
        ("2026-10-24", 4, DAY),
        ("2026-10-25", 4, NIGHT),  # the clocks went back in the night
        ("2026-10-25", 5, DAY),
    ],
)
def test_the_clock_of_the_site_counts_summer_time_with_it(day: str, utc_hour: int, price: float) -> None:
    assert price_at(day, utc_hour) == price


def test_a_night_has_seven_to_nine_hours_by_the_day_that_the_clocks_change() -> None:
    def night_hours(day: str, following: str) -> int:
        hours = [(day, hour) for hour in range(12, 24)] + [(following, hour) for hour in range(12)]
        return sum(price_at(*each) == NIGHT for each in hours)

    assert night_hours("2026-03-28", "2026-03-29") == 7
    assert night_hours("2026-06-01", "2026-06-02") == 8
    assert night_hours("2026-10-24", "2026-10-25") == 9


def test_a_zone_that_is_half_an_hour_off_shares_the_hour() -> None:
    india = tariff(time_zone="Asia/Kolkata")
    assert price_at("2026-01-15", 0, india) == pytest.approx((DAY + NIGHT) / 2)  # 05:30 to 06:30


def test_a_price_of_the_weekend_begins_on_its_days() -> None:
    made = tariff(
        periods=[
            {"from": "00:00", "to": "24:00", "price": 1.0, "days": ["mon", "tue", "wed", "thu", "fri"]},
            {"from": "00:00", "to": "00:00", "price": 0.0, "days": ["sat", "sun"]},
        ]
    )
    assert price_at("2026-01-16", 22, made) == 1.0  # Friday, 23:00
    assert price_at("2026-01-16", 23, made) == 0.0  # Saturday, 00:00
    assert price_at("2026-01-18", 22, made) == 0.0
    assert price_at("2026-01-18", 23, made) == 1.0


def test_a_night_from_sunday_goes_on_into_monday() -> None:
    weekday = [{"from": "00:00", "to": "24:00", "price": 3.0, "days": ["tue", "wed", "thu", "fri", "sat"]}]
    rest = [
        {"from": "00:00", "to": "22:00", "price": 3.0, "days": ["sun"]},
        {"from": "22:00", "to": "06:00", "price": 1.0, "days": ["sun"]},
        {"from": "06:00", "to": "24:00", "price": 3.0, "days": ["mon"]},
    ]
    made = tariff(periods=weekday + rest)
    assert [price_at("2026-01-19", hour, made) for hour in (0, 4, 5)] == [1.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"time_zone": "Europe/Pari"}, "'Europe/Pari' is no time zone (near it: Europe/Paris"),
        ({"time_zone": "Europe"}, "is no time zone"),
        ({"time_zone": "../../etc/passwd"}, "is no time zone"),
        ({"time_zone": ""}, "is no time zone"),
        ({"periods": []}, "at least 1"),
        ({"periods": [{"from": "06:00", "to": "22:00", "price": 1}]}, "mon 00:00 to mon 06:00 has no price"),
        (
            {"periods": [*PARIS["periods"], {"from": "05:00", "to": "07:00", "price": 1}]},
            "mon 05:00 to mon 07:00 has 2 prices",
        ),
        ({"periods": [{"from": "00:00", "to": "24:00", "price": -0.1}]}, "greater than or equal to 0"),
        ({"periods": [{"from": "00:00", "to": "24:00", "price": float("nan")}]}, "finite"),
        ({"periods": [{"from": "6 am", "to": "24:00", "price": 1}]}, "pattern"),
        (
            {"periods": [{"from": "00:00", "to": "24:00", "price": 1, "days": ["sat"]}]},
            "mon 00:00 to sat 00:00 has no price",
        ),
        ({"periods": [{"from": "00:00", "to": "24:00", "price": 1, "days": ["someday"]}]}, "'mon', 'tue'"),
    ],
)
def test_a_tariff_that_cannot_be_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tariff(**wrong)
    assert says in str(caught.value)
