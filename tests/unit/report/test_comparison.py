"""Several runs beside each other."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pytest
from huggingface_hub import ModelCard
from rich.console import Console

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import device, ledger_of
from trimtab_monitor.pricing import EnergySettings
from trimtab_monitor.report import build_report
from trimtab_monitor.report.comparison import as_json, sums_by_phase
from trimtab_monitor.report.markdown import as_markdown
from trimtab_monitor.report.model_card import as_model_card
from trimtab_monitor.report.table import as_csv
from trimtab_monitor.report.testing import run_view
from trimtab_monitor.report.text import as_text

FRANCE = EnergySettings(pue=1.2, place="FR", price_per_kwh=0.25, currency="EUR")


def report(run: str, watts: float | None, energy: EnergySettings = FRANCE, **given: Any) -> dict[str, Any]:
    """A run of an hour at a power, or of which nothing was measured."""
    made = EnergyLedger()
    if watts is not None:
        made = ledger_of(device(range(0, 3_601, 10), counter=[round(watts * 1e4) * i for i in range(361)]))
    return build_report(run_view(made, energy, run=run, **given))


def printed(*reports: dict[str, Any]) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(as_text(reports))
    return out.getvalue()


def test_every_run_has_a_line_with_its_difference_to_the_first() -> None:
    text = printed(report("a", 500), report("b", 600), report("c", 500, last_step=150))
    for words in ("500.00 Wh", "600.00 Wh (+20.0%)", "150 (-50.0%)", "0.1500 EUR"):
        assert words in text
    assert "+0.0%" not in text


def test_what_is_not_known_has_no_difference() -> None:
    lines = as_markdown([report("a", None), report("b", 500), report("c", None)]).splitlines()
    (of_b,) = [line for line in lines if line.startswith("| b |")]
    (of_c,) = [line for line in lines if line.startswith("| c |")]
    assert "500.00 Wh" in of_b
    assert "%" not in of_b
    assert "not known" in of_c


def test_phases_are_never_added_up() -> None:
    runs = [
        report("a", 500),
        report("b", 300),
        report("c", 100, phase="post-training"),
        report("d", 50, phase=None),
    ]
    sums = sums_by_phase(runs)
    assert {phase: each["joules"] for phase, each in sums.items()} == {
        "pretraining": 2_880_000,
        "post-training": 360_000,
        "phase not told": 180_000,
    }
    assert sums["pretraining"]["runs"] == 2
    assert sums["pretraining"]["cost"] == pytest.approx(0.8 * 1.2 * 0.25)
    assert sums["pretraining"]["emissions_g"] == {
        "location": pytest.approx(0.8 * 1.2 * 44.18),
        "market": None,
    }
    assert "pretraining" in printed(*runs)


def test_a_sum_tells_how_many_runs_are_not_in_it() -> None:
    runs = [report("a", 500), report("b", None)]
    assert sums_by_phase(runs)["pretraining"]["unmeasured"] == 1
    assert sums_by_phase(runs[1:])["pretraining"]["joules"] is None
    assert "2 (1 without energy)" in printed(*runs)


def test_json_has_the_runs_whole_and_the_sums() -> None:
    runs = [report("a", 500), report("b", 300)]
    told = msgspec.json.decode(msgspec.json.encode(as_json(runs)))
    assert told["runs"] == runs
    assert told["by_phase"]["pretraining"]["joules"] == 2_880_000


def test_csv_has_a_line_a_run() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv([report("a", 500), report("b", None)]))))
    assert [(line["run"], line["energy_joules"]) for line in lines] == [("a", "1800000.0"), ("b", "")]


def test_what_holds_for_all_is_said_once_and_the_rest_by_run() -> None:
    text = as_markdown([report("a", 500), report("b", None)])
    assert text.count("market-based emissions need a contract") == 1
    assert "- b: no energy was measured" in text


def test_a_model_card_of_several_runs_is_their_sum() -> None:
    card = ModelCard(as_model_card([report("a", 500), report("b", 300)]))
    told = card.data.get("co2_eq_emissions") or {}
    assert told["emissions"] == pytest.approx(0.8 * 1.2 * 44.18, rel=1e-5)
    assert told["source"].startswith("Trimtab: energy of 2 runs by counter, grid France 2024")
    assert (told["training_type"], told["hardware_used"]) == ("pre-training", "1 NVIDIA H100")
    assert "| b | pretraining | finished |" in card.text


def test_a_model_card_claims_nothing_if_a_run_is_not_known() -> None:
    card = ModelCard(as_model_card([report("a", 500), report("b", None)]))
    assert "emissions" not in (card.data.get("co2_eq_emissions") or {})


def test_a_model_card_of_several_phases_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"several phases \(post-training, pretraining\).* give those of one phase"
    ):
        as_model_card([report("a", 500), report("b", 300, phase="post-training")])


@pytest.mark.parametrize("grams", [0.0, 2e-7, 53.016, 1e6, 1.139e10])
def test_grams_are_a_number_to_yaml_however_many(grams: float) -> None:
    made = report("a", 500)
    made["emissions_g"]["location"] = grams
    told = (ModelCard(as_model_card([made])).data.get("co2_eq_emissions") or {})["emissions"]
    assert isinstance(told, int | float)
    assert told == pytest.approx(grams, rel=1e-5)
