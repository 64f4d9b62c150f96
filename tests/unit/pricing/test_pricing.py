"""From joules to grams and money, held to published figures."""

from __future__ import annotations

import msgspec
import pytest
from pydantic import ValidationError

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import T0, device, ledger_of, rapl
from trimtab_monitor.pricing import EnergySettings, priced
from trimtab_monitor.pricing.formulas import cost, emissions_g, facility_kwh
from trimtab_monitor.pricing.priced import repriced

SECONDS_PER_HOUR = 3600
GRAMS_PER_TONNE = 1e6


@pytest.mark.parametrize(
    ("gpu_hours", "published_mwh", "published_t"),
    [
        (809_472, 356, 137),
        (1_082_880, 475, 183),
        (82_432, 36, 14),
        (135_168, 59, 23),
        (530_432, 233, 90),
        (1_022_362, 449, 173),
    ],
)
def test_llama_1_table_15(gpu_hours: int, published_mwh: float, published_t: float) -> None:
    joules = gpu_hours * 400 * SECONDS_PER_HOUR
    assert facility_kwh(joules, 1.1) / 1_000 == pytest.approx(published_mwh, rel=0.009)
    assert emissions_g(joules, 1.1, 385) / GRAMS_PER_TONNE == pytest.approx(published_t, abs=0.5)


@pytest.mark.parametrize(
    ("gpu_hours", "watts", "published_t"),
    [(184_320, 400, 31.22), (368_640, 400, 62.44), (1_038_336, 350, 153.90), (1_720_320, 400, 291.42)],
)
def test_llama_2_model_card(gpu_hours: int, watts: int, published_t: float) -> None:
    joules = gpu_hours * watts * SECONDS_PER_HOUR
    assert emissions_g(joules, 1.1, 385) / GRAMS_PER_TONNE == pytest.approx(published_t, abs=0.01)


def test_cost_is_of_the_energy_of_the_site() -> None:
    assert cost(3_600_000, pue=1.5, price_per_kwh=0.2) == pytest.approx(0.3)


# --- a ledger, priced ---


def ledger() -> EnergyLedger:
    """1 kWh by counter, of which a tenth is lost."""
    made = ledger_of(device(range(0, 3601, 10), counter=[10_000_000 * i for i in range(361)]))
    made.lose("rollback", T0, T0 + 360, steps=36)
    return made


def test_every_factor_is_applied_and_told_with_its_source() -> None:
    settings = EnergySettings(
        pue=1.2, place="FR", market_intensity_g_per_kwh=0, price_per_kwh=0.25, currency="EUR"
    )
    told = priced(ledger(), settings)
    assert told["energy"]["joules"] == 3_600_000
    assert told["facility_joules"] == pytest.approx(4_320_000)
    assert told["emissions_g"] == {"location": pytest.approx(1.2 * 44.18), "market": 0}
    assert (told["cost"], told["currency"]) == (pytest.approx(0.3), "EUR")
    assert told["lost_work"]["joules"] == 360_000
    assert told["lost_work"]["emissions_g"]["location"] == pytest.approx(0.12 * 44.18)
    assert told["lost_work"]["cost"] == pytest.approx(0.03)
    location = told["factors"]["location"]
    assert (location["place"], location["year"], location["source"]) == ("FR", 2024, "owid-ember")
    assert location["basis"] == "annual average of the production mix, life cycle"
    assert "Ember" in location["attribution"]
    assert told["notes"] == []


def test_without_settings_nothing_is_made_up_and_each_remedy_is_named() -> None:
    told = priced(ledger(), EnergySettings())
    assert told["emissions_g"] == {"location": None, "market": None}
    assert told["cost"] is None
    assert told["factors"]["pue"] == {
        "value": 1.0,
        "is_set": False,
        "source": "not set: 1.0 adds nothing for the site",
    }
    for remedy in ("energy.pue", "energy.place", "energy.market_intensity_g_per_kwh", "energy.price_per_kwh"):
        assert any(remedy in note for note in told["notes"])


def test_an_empty_ledger_has_null_and_not_zero() -> None:
    told = priced(EnergyLedger(), EnergySettings(place="FR", price_per_kwh=1))
    assert told["energy"]["joules"] is None
    assert told["emissions_g"]["location"] is told["cost"] is told["lost_work"]["joules"] is None
    assert any("trimtab doctor" in note for note in told["notes"])


def test_an_intensity_that_is_given_goes_before_the_place() -> None:
    told = priced(ledger(), EnergySettings(place="CF", intensity_g_per_kwh=20))
    assert told["emissions_g"]["location"] == 20
    assert told["factors"]["location"]["source"] == "settings (intensity_g_per_kwh)"


def test_what_went_wrong_with_readings_is_said() -> None:
    made = ledger_of(
        device([0, 1, 1, 2, 3, 60], power=[100, 100, 100, -5, 100, 100], method="model"),
        rapl(range(61), [40_000_000 * i for i in range(61)], power=[100] * 61),
    )
    notes = " ".join(priced(made, EnergySettings())["notes"])
    for word in (
        "57.0 device seconds",
        "perhaps 1.58 Wh",
        "modelled",
        "1 readings lay",
        "nonsense",
        "0.40 times",
    ):
        assert word in notes


def test_rows_add_up_and_node_meters_stand_apart() -> None:
    made = ledger_of(
        device([0, 1], power=[100, 100]),
        rapl([0, 1], [0, 50_000_000]),
        rapl([0, 1], [0, 170_000_000], component="host", uuid="psys"),
    )
    energy = priced(made, EnergySettings())["energy"]
    assert energy["joules"] == sum(row["joules"] for row in energy["by"]) == 150
    told = {
        "host": "node1",
        "device": "GPU-1",
        "component": "gpu",
        "method": "power_instant",
        "joules": 100,
        "gap_seconds": 0,
        "shared": False,
        "others_joules": 0,
    }
    assert energy["by"][0].items() >= told.items()
    assert [row["device"] for row in energy["not_summed"]] == ["psys"]


def test_pricing_again_with_other_settings_is_pricing_with_them() -> None:
    other = EnergySettings(pue=1.3, place="DE", price_per_kwh=0.4)
    assert repriced(priced(ledger(), EnergySettings(place="FR")), other) == priced(ledger(), other)


def test_it_is_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(priced(ledger(), EnergySettings(place="GA"))))


# --- settings ---


@pytest.mark.parametrize(
    "wrong",
    [
        {"pue": 0.9},
        {"pue": float("nan")},
        {"place": "Atlantis"},
        {"place": "CF"},
        {"intensity_g_per_kwh": -1},
        {"price_per_kwh": float("inf")},
        {"currency": "euro"},
        {"plce": "FR"},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EnergySettings.model_validate(wrong)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in EnergySettings.model_fields.values())
