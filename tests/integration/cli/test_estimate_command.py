"""`trimtab estimate`, as it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from trimtab_monitor.cli import estimate

Trimtab = Callable[..., Result]


@pytest.fixture
def trimtab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trimtab:
    """`trimtab estimate`, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    app = Typer()
    app.command()(estimate.command)
    return lambda *arguments, **env: CliRunner().invoke(app, list(arguments), env=env)


def test_json_is_the_contract(trimtab: Trimtab) -> None:
    result = trimtab(
        *("--device-hours", "82432", "--watts", "400", "--pue", "1.1", "--intensity", "385"),
        *("--price", "0.1", "--format", "json"),
    )
    assert result.exit_code == 0
    told = msgspec.json.decode(result.stdout)
    assert told["energy_it_kwh"] == pytest.approx(32_972.8)
    assert told["energy_kwh"] == pytest.approx(36_270.08)
    assert told["emissions_kg"] == pytest.approx(13_963.98, abs=0.01)
    assert told["cost"] == pytest.approx(3_627.008)
    assert all(isinstance(each, str) for each in told["assumptions"])


def test_text_has_the_figures_and_what_they_rest_on(trimtab: Trimtab) -> None:
    result = trimtab("--device", "h100", "--count", "8", "--hours", "100", "--place", "FR")
    assert result.exit_code == 0
    for words in ("560.000 kWh", "24.74 kg", "not known", "- power: 700 W", "give --price"):
        assert words in result.stdout


def test_a_published_figure_is_checked(trimtab: Trimtab) -> None:
    card = ("--device", "H100-80GB", "--device-hours", "7e6", "--published-kg")
    result = trimtab(*card, "12900", "--place", "US")
    assert result.exit_code == 0
    assert "12.90 t does not agree with its inputs" in result.stdout


def test_settings_count_where_no_flag_is_given_and_a_place_goes_before_an_intensity(trimtab: Trimtab) -> None:
    plan = ("--watts", "1000", "--device-hours", "1000", "--format", "json")
    site = {"TRIMTAB_ENERGY__PUE": "1.5", "TRIMTAB_ENERGY__INTENSITY_G_PER_KWH": "100"}
    by_settings = msgspec.json.decode(trimtab(*plan, **site).stdout)
    by_flag = msgspec.json.decode(trimtab(*plan, "--place", "FR", **site).stdout)
    assert by_settings["emissions_kg"] == pytest.approx(150)
    assert by_flag["emissions_kg"] == pytest.approx(66.27)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "no power: give --device NAME"),
        ("--device h100", "no time: give --count N and --hours H, or --device-hours H"),
        ("--device h100 --count 8", "no time"),
        ("--device h100 --count 8 --hours 1 --device-hours 8", "--device-hours stands for --count times"),
        ("--device h100 --watts 700 --device-hours 8", "--device and --watts are both given"),
        ("--device h1000 --device-hours 8", "device 'h1000' is not in the table"),
        ("--device h100 --count 0 --hours 1", "--count 0: must be a finite number above 0"),
        ("--device h100 --count 1 --hours 0", "--hours 0: must be a finite number above 0"),
        ("--watts nan --device-hours 1", "--watts nan"),
        ("--watts 1 --device-hours 1 --pue 0.9", "--pue: energy.pue: 0.9"),
        ("--watts 1 --device-hours 1 --price -1", "--price: energy.price_per_kwh: -1.0"),
        ("--watts 1 --device-hours 1 --intensity nan", "--intensity: energy.intensity_g_per_kwh: nan"),
        (
            "--watts 1 --device-hours 1 --gpu-hour-price -1",
            "--gpu-hour-price: energy.price_per_gpu_hour: -1.0",
        ),
        ("--watts 1 --device-hours 1 --wue-site nan", "--wue-site: energy.wue_site_l_per_kwh: nan"),
        ("--watts 1 --device-hours 1 --embodied-kg -1", "--embodied-kg: energy.embodied.kg_per_device: -1.0"),
        ("--watts 1 --device-hours 1 --place Nowhere", "'Nowhere' is not in the table"),
        ("--watts 1 --device-hours 1 --place FR --intensity 3", "--place and --intensity are both given"),
        ("--watts 1 --device-hours 1 --price 1 --currency euro", "--currency: energy.currency: 'euro'"),
        ("--watts 1 --device-hours 1 --currency EUR", "give --price with it"),
        ("--watts 1 --device-hours 1 --published-kg -1", "--published-kg -1"),
        ("--watts 1 --device-hours 1 --config none.toml", "none.toml: cannot be read"),
    ],
)
def test_wrong_arguments_are_told_with_exit_code_2(trimtab: Trimtab, arguments: str, told: str) -> None:
    result = trimtab(*arguments.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"trimtab estimate: {told}" in result.stderr or told in result.stderr
    assert result.stderr.count("\n") == 1
