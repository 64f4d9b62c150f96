"""Energy settings as flags, before those of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab_monitor.cli.energy_flags import settings_with

FILE = """
[energy]
place = "FR"
[energy.electricity_maps]
token = "s3cret"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "trimtab.toml"
    path.write_text(FILE)
    return path


def test_hourly_values_of_the_place_that_is_set_do_not_hold_elsewhere(config: Path) -> None:
    for flags in ({"place": "US-GA"}, {"intensity_g_per_kwh": 30.0}):
        assert settings_with(config, flags).energy.electricity_maps is None


def test_other_flags_leave_them_as_they_are(config: Path) -> None:
    energy = settings_with(config, {"pue": 1.2, "place": None}).energy
    assert energy.electricity_maps is not None
    assert energy.electricity_maps_zone == "FR"


def test_a_place_whose_value_cannot_be_names_the_flag_that_gave_it(config: Path) -> None:
    with pytest.raises(ValueError, match=r"^--place: energy.place: 'CF': .* give intensity_g_per_kwh$"):
        settings_with(config, {"place": "CF", "pue": 1.2})


def test_a_currency_without_a_price_would_only_rename_one(config: Path) -> None:
    with pytest.raises(ValueError, match="give --price with it"):
        settings_with(config, {"currency": "USD"})
    assert settings_with(config, {"currency": "EUR", "price_per_gpu_hour": 2.0}).energy.currency == "EUR"
