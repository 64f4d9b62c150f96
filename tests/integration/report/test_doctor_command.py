"""`trimtab doctor` on the machine that runs the tests, whatever it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from trimtab import sensors
from trimtab.version import __version__
from trimtab_monitor.cli import doctor

Trimtab = Callable[..., Result]


@pytest.fixture
def trimtab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trimtab:
    """`trimtab doctor`, in an empty folder and environment."""
    monkeypatch.delenv("TRIMTAB_URL", raising=False)
    monkeypatch.delenv("TRIMTAB_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    app = Typer()
    app.command()(doctor.command)
    return lambda *arguments, **env: CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", **env})


def facts(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def test_it_tells_versions_sensors_and_the_method_for_each_device(trimtab: Trimtab) -> None:
    told = facts(trimtab("--format", "json"))
    assert told["trimtab"] == __version__
    assert told["packages"]["msgspec"] == msgspec.__version__
    assert [sensor["sensor"] for sensor in told["sensors"]] == [each["sensor"] for each in sensors.describe()]
    assert {"uuid", "method"} <= set(told["energy"]["devices"][0])
    assert told["settings"]["problem"] is None


def test_a_folder_that_is_not_there_yet_is_not_made(trimtab: Trimtab, tmp_path: Path) -> None:
    told = facts(trimtab("--format", "json"))["folder"]
    assert (told["path"], told["writable"]) == (str(tmp_path / ".trimtab"), True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_told_with_the_remedy(trimtab: Trimtab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = facts(trimtab("--format", "json", TRIMTAB_DIR=str(tmp_path / "file" / "below")))
    assert not told["folder"]["writable"]
    assert "set TRIMTAB_DIR to a folder that can be written" in told["remedies"]


def test_a_collector_that_does_not_answer_is_told_with_the_remedy(
    trimtab: Trimtab, free_port: Callable[[], int]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    told = facts(trimtab("--format", "json", TRIMTAB_URL=url))
    assert (told["collector"]["url"], told["collector"]["reachable"]) == (url, False)
    assert any("trimtab serve" in remedy for remedy in told["remedies"])


def test_an_address_that_is_none_is_told_with_the_remedy(trimtab: Trimtab) -> None:
    told = facts(trimtab("--format", "json", TRIMTAB_URL="ftp://x"))
    assert not told["collector"]["reachable"]
    assert "'ftp://x': give the collector's address" in told["collector"]["problem"]
    assert "correct TRIMTAB_URL, or unset it" in told["remedies"]


def test_a_wrong_setting_is_told_with_the_rest_and_fails(trimtab: Trimtab) -> None:
    result = trimtab("--format", "json", TRIMTAB_ENERGY__PLACE="Atlantis")
    assert result.exit_code == 2
    problem = msgspec.json.decode(result.stdout)["settings"]["problem"]
    assert "TRIMTAB_ENERGY__PLACE" in problem
    assert "Atlantis" in problem
    assert result.stderr == f"trimtab doctor: {problem}\n"


def test_a_settings_file_that_is_wrong_or_not_there_fails(trimtab: Trimtab, tmp_path: Path) -> None:
    gone = trimtab("--config", "nothere.toml")
    assert (gone.exit_code, "nothere.toml: cannot be read" in gone.stderr) == (2, True)
    (tmp_path / "mine.toml").write_text("[energy]\npuee = 1.2\n")
    wrong = trimtab("--config", "mine.toml")
    assert (wrong.exit_code, "mine.toml:2: energy.puee: unknown key" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--places", "zzzz"], "'zzzz' is not in the table; list the places"),
        (["--places", "Virgina"], "(near it: azure:eastus2 (Virginia, cloud region)"),
        (["hello"], "unexpected argument 'hello'; a word goes with --places"),
    ],
)
def test_arguments_that_find_nothing_are_told(trimtab: Trimtab, arguments: list[str], told: str) -> None:
    result = trimtab(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_what_is_missing_for_carbon_and_cost_is_named(trimtab: Trimtab) -> None:
    remedies = " ".join(facts(trimtab("--format", "json", TRIMTAB_ENERGY__PLACE="FR"))["remedies"])
    assert "TRIMTAB_ENERGY__PRICE_PER_KWH" in remedies
    assert "TRIMTAB_ENERGY__PLACE" not in remedies


def test_text_says_the_same(trimtab: Trimtab) -> None:
    result = trimtab()
    assert result.exit_code == 0
    for words in (f"trimtab {__version__}", "energy by", "none runs here", "writable", "TRIMTAB_ENERGY__PUE"):
        assert words in result.stdout


def test_no_row_of_a_table_is_wrapped_in_a_pipe(trimtab: Trimtab) -> None:
    lines = trimtab("--places", "virginia", COLUMNS="").stdout.splitlines()
    row = next(line for line in lines if "aws:us-east-1" in line)
    assert "244.76" in row
    assert max(map(len, lines)) > 80


def test_places_are_listed_by_a_word(trimtab: Trimtab) -> None:
    found = facts(trimtab("--places", "virginia", "--format", "json"))
    assert {"US-VA", "US-WV", "aws:us-east-1", "gcp:us-east4", "azure:eastus"} <= {
        each["key"] for each in found
    }
    assert "244.76" in trimtab("--places", "US-VA").stdout
