"""Energy priced: by the hour, by contract, in litres and in money."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.pricing import EnergySettings, priced
from trimtab_monitor.pricing.bill import Bill
from trimtab_monitor.pricing.formulas import embodied_g, water_l
from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.pricing.intensity.values import HOUR_S, Signal
from trimtab_monitor.pricing.priced import repriced
from trimtab_monitor.pricing.repricing import told_settings
from trimtab_monitor.pricing.usage import Usage

KWH = 3_600_000.0
H0 = 1_768_435_200  # 2026-01-15 00:00 UTC
H1, H2 = H0 + HOUR_S, H0 + 2 * HOUR_S
FRANCE_G = 44.18


def usage(*kwh: float, gpu_hours: float | None = None) -> Usage:
    """So many kWh in one hour after the other."""
    return Usage(sum(kwh) * KWH, {H0 + i * HOUR_S: each * KWH for i, each in enumerate(kwh)}, gpu_hours)


def live(
    values: Mapping[int, float], signal: Signal = "average", estimated: tuple[int, ...] = ()
) -> LiveSource:
    told = {hour: (g_per_kwh, hour in estimated) for hour, g_per_kwh in values.items()}
    return LiveSource("somebody", "FR", signal, "lifecycle", "by Somebody", told)


def bill(used: Usage, *sources: LiveSource, **settings: Any) -> dict[str, Any]:
    return Bill.of(used, EnergySettings(**settings), sources).as_json()


class Known:
    """Intensities that are given."""

    def __init__(self, *sources: LiveSource) -> None:
        self._sources = sources

    def sources(self, hours: object) -> tuple[LiveSource, ...]:
        return self._sources


# --- by the hour ---


def test_rounding_of_a_sum_is_no_energy_without_an_intensity() -> None:
    hours = {H0 + i * HOUR_S: joules for i, joules in enumerate((0.1, 0.2, 0.3))}
    used = Usage(0.6, hours)
    assert sum(hours.values()) != 0.6
    share = Bill.of(used, EnergySettings(), [live(dict.fromkeys(hours, 50.0))]).location
    assert share is not None
    assert share.unpriced_kwh == 0


def test_each_hour_counts_with_its_own_intensity_and_not_with_the_mean() -> None:
    told = bill(usage(9, 1), live({H0: 100, H1: 500}), pue=1.2)
    assert told["emissions_g"]["location"] == pytest.approx(1.2 * (9 * 100 + 1 * 500))


def test_an_hour_that_is_not_known_counts_with_the_table_or_what_is_given() -> None:
    known = live({H0: 100})
    assert bill(usage(1, 1), known, place="FR")["emissions_g"]["location"] == pytest.approx(100 + FRANCE_G)
    assert bill(usage(1, 1), known, intensity_g_per_kwh=7)["emissions_g"]["location"] == pytest.approx(107)


def test_energy_of_hours_that_are_not_told_apart_any_more_counts_with_the_table() -> None:
    used = Usage(5 * KWH, {H0: KWH})
    assert bill(used, live({H0: 100}), intensity_g_per_kwh=10)["emissions_g"]["location"] == pytest.approx(
        140
    )


def test_a_value_that_comes_late_applies_backwards() -> None:
    used = usage(2, 1)
    assert bill(used, live({}), intensity_g_per_kwh=10)["emissions_g"]["location"] == pytest.approx(30)
    assert bill(used, live({H0: 50}), intensity_g_per_kwh=10)["emissions_g"]["location"] == pytest.approx(110)


def test_hours_of_which_nothing_is_known_are_in_no_sum_and_told() -> None:
    told = Bill.of(usage(1, 2), EnergySettings(pue=1.5), [live({H0: 100})])
    assert told.location_g == pytest.approx(150)
    assert told.location is not None
    assert told.location.unpriced_kwh == pytest.approx(3)
    assert Bill.of(usage(1, 2), EnergySettings(), [live({})]).location_g is None


def test_marginal_emissions_stand_apart_and_need_no_table() -> None:
    told = bill(usage(1, 1), live({H0: 600, H1: 400}, "marginal"), place="FR")
    assert told["marginal_g"] == pytest.approx(1_000)
    assert told["emissions_g"]["location"] == pytest.approx(2 * FRANCE_G)
    assert bill(usage(1, 1), live({H0: 600}), place="FR")["marginal_g"] is None


def test_hours_that_great_britains_operator_did_not_tell_count_with_the_table() -> None:
    told = bill(usage(1), uk={"enabled": True})
    assert told["emissions_g"] == bill(usage(1), place="GB")["emissions_g"]


def test_zero_is_an_intensity() -> None:
    assert bill(usage(1, 1), live({H0: 0.0, H1: 0.0}), place="FR")["emissions_g"]["location"] == 0


# --- by contract ---


def test_what_the_contract_does_not_cover_counts_with_the_residual_mix_or_the_grid() -> None:
    contract = {"market_intensity_g_per_kwh": 0, "market_share": 0.8, "intensity_g_per_kwh": 400}
    assert bill(usage(10), **contract)["emissions_g"] == {
        "location": pytest.approx(4_000),
        "market": pytest.approx(800),
    }
    told = bill(usage(10), **contract, residual_intensity_g_per_kwh=600)
    assert told["emissions_g"]["market"] == pytest.approx(1_200)
    by_hour = bill(usage(10), live({H0: 100}), **contract)
    assert by_hour["emissions_g"]["market"] == pytest.approx(200)


def test_a_rest_of_which_nothing_is_known_leaves_the_market_figure_unknown() -> None:
    told = bill(usage(10), market_intensity_g_per_kwh=0, market_share=0.8)
    assert told["emissions_g"]["market"] is None


# --- water, making ---


def test_water_of_the_site_and_of_the_source() -> None:
    assert water_l(KWH, 1.2, 1.8, 3.1) == pytest.approx(1.8 + 1.2 * 3.1)
    assert bill(usage(10), pue=1.2, wue_site_l_per_kwh=1.8)["water_l"] == pytest.approx(18)
    assert bill(usage(10), pue=1.2)["water_l"] is None


def test_embodied_emissions_of_the_sci_specification() -> None:
    assert embodied_g(1_000, device_hours=1, lifetime_years=4, share=1) == pytest.approx(28.539, abs=5e-4)
    told = bill(usage(1, gpu_hours=8), embodied={"kg_per_device": 463, "share": 0.5})
    assert told["embodied_g"] == pytest.approx(463e3 * 8 / (4 * 8760) / 2)


def test_embodied_emissions_need_hours_and_a_mass() -> None:
    assert bill(usage(1, gpu_hours=8))["embodied_g"] is None
    assert bill(usage(1), embodied={"kg_per_device": 1000})["embodied_g"] is None


# --- money ---

TARIFF = {
    "time_zone": "UTC",
    "periods": [
        {"from": "00:00", "to": "01:00", "price": 0.1},
        {"from": "01:00", "to": "00:00", "price": 0.3},
    ],
}


def test_a_tariff_prices_each_hour() -> None:
    assert bill(usage(10, 1), pue=2, tariff=TARIFF)["cost"] == pytest.approx(2 * (10 * 0.1 + 1 * 0.3))


def test_energy_of_hours_that_are_not_told_apart_costs_what_the_others_do() -> None:
    assert bill(Usage(4 * KWH, {H0: KWH, H1: KWH}), tariff=TARIFF)["cost"] == pytest.approx(0.8)
    assert bill(Usage(4 * KWH), tariff=TARIFF)["cost"] is None


def test_a_flat_price_goes_before_the_tariff() -> None:
    assert bill(usage(10), price_per_kwh=1, tariff=TARIFF)["cost"] == pytest.approx(10)


def test_gpu_hours_in_the_same_currency_are_added() -> None:
    told = bill(usage(10, gpu_hours=8), price_per_kwh=0.2, price_per_gpu_hour=2.5, currency="EUR")
    assert told["cost"] == pytest.approx(22)
    assert told["cost_parts"] == {
        "electricity": {"amount": pytest.approx(2), "currency": "EUR"},
        "gpu_hours": {"amount": pytest.approx(20), "currency": "EUR"},
    }


def test_currencies_are_never_added() -> None:
    prices = {"price_per_gpu_hour": 2.5, "gpu_hour_currency": "USD", "currency": "EUR"}
    told = bill(usage(10, gpu_hours=8), price_per_kwh=0.2, **prices)
    assert (told["cost"], told["currency"]) == (pytest.approx(2), "EUR")
    assert told["cost_parts"]["gpu_hours"] == {"amount": pytest.approx(20), "currency": "USD"}
    assert bill(usage(10, gpu_hours=8), **prices)["cost"] is None


def test_gpu_hours_alone_are_a_cost() -> None:
    assert bill(Usage(None, gpu_hours=4), price_per_gpu_hour=2)["cost"] == 8


# --- as the ledger tells it ---


def body(*sources: LiveSource, **settings: Any) -> dict[str, Any]:
    """An empty ledger's body, filled with 2 kWh in two hours, and 8 GPU hours."""
    empty = priced(EnergyLedger(), EnergySettings())
    hours = [{"time": float(H0), "joules": KWH}, {"time": float(H1), "joules": KWH}]
    measured = {**empty, "energy": {**empty["energy"], "joules": 2 * KWH, "by_hour": hours, "gpu_hours": 8.0}}
    measured["lost_work"] = {
        "steps": 1,
        "seconds": 3600.0,
        "joules": KWH,
        "by_hour": hours[1:],
        "gpu_hours": 4.0,
    }
    measured["work"] = {"steps": 10, "tokens": 1_000}
    measured["factors"] = {"live": [each.as_json() for each in sources]}
    measured["settings"] = told_settings(EnergySettings(**settings))
    del measured["notes"]
    return repriced(measured, EnergySettings(**settings))


def with_live(told: dict[str, Any], settings: EnergySettings) -> dict[str, Any]:
    return repriced(json.loads(json.dumps(told)), settings)


def test_it_tells_how_many_kilowatt_hours_were_priced_by_what() -> None:
    told = body(live({H0: 100}, estimated=(H0,)), pue=1.5)
    assert told["emissions_g"]["location"] == pytest.approx(150)
    location = told["factors"]["location"]
    assert location["unpriced_kwh"] == pytest.approx(1.5)
    assert location["mean_g_per_kwh"] == pytest.approx(100)
    (part,) = location["priced_by"]
    assert part == {
        "source": "somebody",
        "place": "FR",
        "basis": "lifecycle",
        "year": None,
        "attribution": "by Somebody",
        "kwh": pytest.approx(1.5),
        "estimated_kwh": pytest.approx(1.5),
        "grams": pytest.approx(150),
    }
    notes = " ".join(told["notes"])
    assert "1.5 kWh have no location-based intensity" in notes
    assert "1.5 kWh rest on estimates" in notes


def test_the_rest_is_told_with_the_source_basis_year_and_licence_of_the_table() -> None:
    told = body(place="FR", pue=1.0)
    (part,) = told["factors"]["location"]["priced_by"]
    assert (part["source"], part["place"], part["year"]) == ("owid-ember", "FR", 2024)
    assert "CC BY 4.0" in part["attribution"]
    assert part["kwh"] == pytest.approx(2)


def test_lost_work_is_priced_by_its_own_hours() -> None:
    told = body(live({H0: 100, H1: 700}), pue=2.0, price_per_gpu_hour=3.0)
    assert told["lost_work"]["emissions_g"]["location"] == pytest.approx(1_400)
    assert told["lost_work"]["cost"] == pytest.approx(12)


def test_sci_is_by_average_intensity_with_what_making_emitted() -> None:
    settings = {
        "intensity_g_per_kwh": 100.0,
        "market_intensity_g_per_kwh": 0.0,
        "embodied": {"kg_per_device": 35.04},
    }
    sci = body(**settings)["sci"]
    assert sci == {
        "g_per_run": pytest.approx(208),
        "g_per_step": pytest.approx(20.8),
        "g_per_token": pytest.approx(0.208),
    }
    assert body(intensity_g_per_kwh=100.0)["sci"] is None


def test_pricing_again_keeps_the_hourly_values_and_what_the_reader_does_not_give() -> None:
    told = body(live({H0: 100, H1: 300}), pue=1.5, price_per_kwh=0.2, currency="EUR")
    again = with_live(told, EnergySettings(pue=2.0))
    assert again["emissions_g"]["location"] == pytest.approx(800)
    assert (again["cost"], again["currency"]) == (pytest.approx(0.8), "EUR")


def test_another_place_is_another_grid() -> None:
    told = body(live({H0: 100, H1: 300}), intensity_g_per_kwh=50.0)
    again = with_live(told, EnergySettings(place="FR"))
    assert again["emissions_g"]["location"] == pytest.approx(2 * FRANCE_G)
    assert again["factors"]["live"] == []


def test_the_same_place_is_the_same_grid_unless_the_reader_wants_its_table() -> None:
    told = body(live({H0: 100, H1: 300}), place="FR")
    for same in (EnergySettings(place="France"), EnergySettings(place="FR", pue=1.0)):
        assert with_live(told, same)["emissions_g"]["location"] == pytest.approx(400)
    of_table = EnergySettings(place="FR", electricity_maps=None)
    assert with_live(told, of_table)["emissions_g"]["location"] == pytest.approx(2 * FRANCE_G)


def test_a_part_of_what_making_emitted_leaves_the_rest_as_told() -> None:
    told = body(embodied={"kg_per_device": 1_000.0, "lifetime_years": 4.0})
    again = with_live(told, EnergySettings(embodied={"lifetime_years": 8.0}))  # type: ignore[arg-type]
    assert again["embodied_g"] == pytest.approx(told["embodied_g"] / 2)


def test_another_price_comes_with_its_currency() -> None:
    told = body(price_per_kwh=0.2, currency="EUR", price_per_gpu_hour=1.0)
    again = with_live(told, EnergySettings(price_per_kwh=1.0))
    assert (again["cost"], again["currency"]) == (pytest.approx(2), "USD")
    assert again["cost_parts"]["gpu_hours"] == {"amount": pytest.approx(8), "currency": "EUR"}


def test_pricing_again_with_nothing_changes_nothing() -> None:
    told = body(live({H0: 100}), live({H0: 600}, "marginal"), place="FR", tariff=TARIFF, pue=1.1)
    assert with_live(told, EnergySettings()) == json.loads(json.dumps(told))


def test_what_is_told_is_known_to_read_from_the_store_of_another_version() -> None:
    told = body(place="FR")
    for key in ("settings", "work"):
        del told[key]
    del told["factors"]["live"]
    assert repriced(told, EnergySettings(place="DE"))["emissions_g"]["location"] is not None


def test_a_provider_that_fails_is_told() -> None:
    state = {"last_success": None, "last_error": "answered 500", "last_error_time": 1.0, "errors": 3}
    failing = LiveSource("somebody", "FR", "average", "lifecycle", "by Somebody", {}, state)
    told = priced(EnergyLedger(), EnergySettings(place="FR"), Known(failing))
    assert any("somebody tells nothing now" in note and "answered 500" in note for note in told["notes"])


def test_both_prices_are_told_for_electricity_may_be_counted_twice() -> None:
    notes = " ".join(body(price_per_kwh=0.2, price_per_gpu_hour=2.0, gpu_hour_currency="EUR")["notes"])
    assert "a cloud's price of a GPU hour usually holds electricity" in notes
    assert "GPU hours are priced in EUR" in notes


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"currency": "EUO"}, "'EUO' is no currency of ISO 4217 (near it: EUR"),
        ({"currency": "eur"}, "'eur' is no currency of ISO 4217 (near it: EUR"),
        ({"currency": ""}, "'' is no currency of ISO 4217: give its three letters"),
        ({"gpu_hour_currency": "XXX"}, "is no currency"),
        ({"price_per_kwh": 1e300}, "less than or equal to 1000000000"),
        ({"price_per_gpu_hour": -1}, "greater than or equal to 0"),
        ({"market_share": 1.2}, "less than or equal to 1"),
        ({"wue_site_l_per_kwh": -1}, "greater than or equal to 0"),
        ({"embodied": {"lifetime_years": 0}}, "greater than 0"),
        ({"embodied": {"kg_per_device": float("nan")}}, "finite number"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EnergySettings.model_validate(wrong)
    assert says in str(caught.value)
