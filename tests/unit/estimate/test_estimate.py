"""The estimate: its arithmetic, what it says that it rests on, and what it refuses."""

from __future__ import annotations

import math

import pytest

from trimtab_monitor.estimate import Plan, estimate
from trimtab_monitor.estimate.hardware import find_hardware
from trimtab_monitor.pricing.settings import EmbodiedSettings, EnergySettings
from trimtab_monitor.pricing.tariff import TariffSettings

FRANCE = EnergySettings(pue=1.2, place="FR", price_per_kwh=0.25, currency="EUR")


def planned(name: str, count: int, hours: float) -> Plan:
    found = find_hardware(name)
    return Plan(count * hours, found.hardware.watts, found=found, count=count, hours=hours)


def test_energy_carbon_and_cost() -> None:
    told = estimate(planned("h100", 8, 100), FRANCE)
    assert told["energy_it_kwh"] == pytest.approx(560)
    assert told["energy_kwh"] == pytest.approx(672)
    assert told["emissions_kg"] == pytest.approx(672 * 44.18 / 1_000)
    assert (told["cost"], told["currency"]) == (pytest.approx(168), "EUR")
    assert told["emissions_market_kg"] is None


def test_what_is_not_known_is_null_and_says_what_to_give() -> None:
    told = estimate(Plan(100, 300), EnergySettings())
    assert told["emissions_kg"] is told["cost"] is None
    text = "\n".join(told["assumptions"])
    for words in ("give --place or --intensity", "give --price", "give --pue", "--host-watts"):
        assert words in text


def test_every_factor_says_where_it_is_from() -> None:
    text = "\n".join(estimate(planned("h100", 8, 100), FRANCE)["assumptions"])
    for words in (
        "700 W a module, the most that H100-SXM5-80GB draws for long (NVIDIA H100 data sheet)",
        "others: H100-PCIe-80GB (350 W), H100-NVL-94GB (400 W)",
        "8 devices for 100 h",
        "PUE: 1.2, as set",
        "France (FR) 2024, annual average of the production mix, life cycle",
        "CC BY 4.0",
        "0.25 EUR a kWh",
    ):
        assert words in text


def test_part_of_the_power_and_the_host_count() -> None:
    assert Plan(100, 300, utilisation=0.5, host_watts=50).it_kwh == pytest.approx(20)
    told = estimate(Plan(100, 300, utilisation=0.5, host_watts=50), EnergySettings())
    assert "utilisation: 50% of that on average, as given" in told["assumptions"]
    assert "host: 50 W beside each device, as given" in told["assumptions"]


@pytest.mark.parametrize(
    ("name", "host"), [("GH200", "its CPU is counted"), ("m2 ultra", "the whole machine")]
)
def test_what_a_device_already_covers_of_its_host_is_said(name: str, host: str) -> None:
    told = estimate(planned(name, 1, 1), EnergySettings())
    assert any(each.startswith(f"host: {host}") for each in told["assumptions"])


def test_a_contract_is_told_beside_the_grid() -> None:
    told = estimate(Plan(1_000, 1_000), EnergySettings(place="FR", market_intensity_g_per_kwh=0))
    assert told["emissions_kg"] == pytest.approx(44.18)
    assert told["emissions_market_kg"] == 0
    assert any("by contract: 0 g/kWh" in each for each in told["assumptions"])


@pytest.mark.parametrize(
    ("residual", "kg", "rest"),
    [
        (None, 0.2 * 44.18, "the rest counts as location-based"),
        (300.0, 0.2 * 300.0, "the rest counts with 300 g/kWh of the residual mix, as set"),
    ],
)
def test_a_contract_for_a_part_says_how_the_rest_counts(residual: float | None, kg: float, rest: str) -> None:
    settings = EnergySettings(
        place="FR",
        market_intensity_g_per_kwh=0,
        market_share=0.8,
        residual_intensity_g_per_kwh=residual,
    )
    told = estimate(Plan(1_000, 1_000), settings)
    assert told["emissions_market_kg"] == pytest.approx(kg)
    assert any(f"for 0.8 of the electricity; {rest}" in each for each in told["assumptions"])


def test_a_part_of_the_making_is_told_as_such() -> None:
    settings = EnergySettings(embodied=EmbodiedSettings(kg_per_device=1_000, share=0.25))
    told = estimate(Plan(1, 1), settings)
    assert told["embodied_kg"] == pytest.approx(0.25 * 0.028539, abs=1e-6)
    assert any("making the hardware: 0.25 of 1000 kg a device" in each for each in told["assumptions"])


def test_two_letters_that_are_a_state_too_are_told() -> None:
    told = estimate(Plan(1, 1), EnergySettings(place="GA"))
    assert "GA is the country Gabon; the US state is US-GA" in told["assumptions"]


def test_the_example_of_the_sci() -> None:
    """1,000 kg, four years, one hour: "around 28 g" (SCI, ISO/IEC 21031:2024)."""
    told = estimate(Plan(1, 300), EnergySettings(embodied=EmbodiedSettings(kg_per_device=1_000)))
    assert told["embodied_kg"] * 1_000 == pytest.approx(28.539, abs=0.001)
    assert any(each.startswith("making the hardware: 1000 kg a device") for each in told["assumptions"])


def test_water_and_the_price_of_a_device_hour() -> None:
    settings = EnergySettings(
        pue=1.2, wue_source_l_per_kwh=1.29, wue_site_l_per_kwh=0.5, price_per_kwh=0.1, price_per_gpu_hour=2
    )
    told = estimate(Plan(100, 1_000), settings)
    assert told["water_l"] == pytest.approx(100 * 0.5 + 120 * 1.29)
    assert told["cost"] == pytest.approx(12 + 200)
    assert {name: part["amount"] for name, part in told["cost_parts"].items()} == {
        "electricity": pytest.approx(12),
        "gpu_hours": 200,
    }


def test_a_tariff_by_the_hour_says_that_it_is_not_applied() -> None:
    tariff = TariffSettings.model_validate(
        {"time_zone": "UTC", "periods": [{"from": "00:00", "to": "24:00", "price": 0.3}]}
    )
    told = estimate(Plan(100, 1_000), EnergySettings(tariff=tariff))
    assert told["cost"] is None
    assert any("tariff of the settings is not applied" in each for each in told["assumptions"])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"device_hours": 0.0}, "--device-hours 0: .* devices times hours"),
        ({"device_hours": math.nan}, "--device-hours nan"),
        ({"watts": -3.0}, "--watts -3"),
        ({"watts": math.inf}, "--watts inf"),
        ({"count": -8, "hours": -1.0}, "--count -8: .* how many devices"),
        ({"hours": 0.0, "count": 8}, "--hours 0: .* how long"),
        ({"utilisation": 1.5}, "--utilisation 1.5: .* at most 1"),
        ({"utilisation": math.nan}, "--utilisation nan"),
        ({"host_watts": -1.0}, "--host-watts -1"),
        ({"host_watts": math.nan}, "--host-watts nan"),
        ({"device_hours": 1e308, "watts": 1e308}, "come to inf kWh, which no run uses"),
        ({"device_hours": 1e14, "watts": 7e5}, "come to 7e[+]16 kWh"),
        ({"device_hours": 1e-300, "watts": 1e-300}, "come to 0 kWh"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Plan(**{"device_hours": 10.0, "watts": 300.0, **wrong})  # type: ignore[arg-type]
