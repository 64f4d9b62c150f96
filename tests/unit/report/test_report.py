"""The report, in each of the ways in which it is told."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from huggingface_hub import ModelCard
from rich.console import Console

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import T0, device, ledger_of
from trimtab_monitor.pricing import EnergySettings
from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.report import build_report
from trimtab_monitor.report.markdown import as_markdown
from trimtab_monitor.report.model_card import as_model_card
from trimtab_monitor.report.table import as_csv
from trimtab_monitor.report.testing import run_view
from trimtab_monitor.report.text import as_text

FRANCE = EnergySettings(pue=1.2, place="FR", price_per_kwh=0.25, currency="EUR")


class Constant:
    """A provider that told the same of every hour, or of the first ones only."""

    def __init__(self, g_per_kwh: float, hours: int | None = None) -> None:
        self._g_per_kwh = g_per_kwh
        self._hours = hours

    def sources(self, hours: Sequence[int]) -> Sequence[LiveSource]:
        told = dict.fromkeys(hours[: self._hours], (self._g_per_kwh, False))
        return [LiveSource("somebody", "FR", "average", "lifecycle", "by Somebody", told)]


def ledger() -> EnergyLedger:
    """1 kWh on two GPUs of two hosts, a tenth of it lost."""
    made = ledger_of(
        *(
            device(
                range(0, 3_601, 10),
                counter=[5_000_000 * i for i in range(361)],
                host=f"node{host}",
                boot_id=f"boot{host}",
                uuid=f"GPU-{host}",
            )
            for host in (1, 2)
        )
    )
    made.lose("rollback", T0, T0 + 360, steps=20)
    return made


def report(
    energy: EnergySettings | None = FRANCE, made: EnergyLedger | None = None, **given: Any
) -> dict[str, Any]:
    return build_report(run_view(ledger() if made is None else made, energy, **given))


def printed(told: dict[str, Any]) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(as_text([told]))
    return out.getvalue()


# --- the contract ---


def test_its_shape_is_the_contract() -> None:
    told = report()
    assert (told["run"], told["steps"], told["duration_s"]) == ("gpt-1", 300, 600.0)
    assert set(told["energy"]) == {"joules", "by"}
    assert told["energy"]["joules"] == 3_600_000
    assert told["energy"]["by"][0] == {
        "host": "node1",
        "device": "GPU-1",
        "component": "gpu",
        "method": "counter",
        "joules": 1_800_000,
        "gap_seconds": 0,
    }
    assert told["emissions_g"] == {"location": pytest.approx(1.2 * 44.18), "market": None}
    assert told["cost"] == pytest.approx(0.3)
    assert told["lost_work"] == {"steps": 20, "seconds": 360, "joules": 360_000}
    assert [each["id"] for each in told["incidents"]] == ["gpt-1.1"]
    assert [each["command"] for each in told["rollbacks"]] == ["gpt-1.c1"]
    assert msgspec.json.decode(msgspec.json.encode(told)) == told


def test_it_says_where_the_run_comes_from() -> None:
    slurm = {"job_id": "4711", "job_name": "gpt", "nodes": "node[1-2]"}
    git = {"commit": "0123456789abcdef", "branch": "fix|nan"}
    told = report(origin={"launcher": "slurm", "slurm": slurm, "git": git, "versions": {"torch": "2.13.0"}})
    assert told["origin"]["slurm"] == slurm
    line = "Slurm job 4711 (gpt) on node[1-2]; commit 0123456789 (fix|nan); torch 2.13.0"
    assert line in printed(told)
    assert f"From: {line}".replace("|", "\\|") in as_markdown([told])
    assert report()["origin"] == {}


def test_a_run_without_samples_or_energy_has_nulls() -> None:
    told = report(EnergySettings(), EnergyLedger(), last_sample=None, last_step=0)
    assert told["duration_s"] is told["energy"]["joules"] is told["cost"] is None
    assert told["emissions_g"] == {"location": None, "market": None}
    assert told["lost_work"]["joules"] is None
    assert any("energy.place" in each for each in told["assumptions"])


def test_a_run_lasts_from_its_own_start_whenever_the_collector_heard_of_it() -> None:
    assert report(began=998.5)["duration_s"] == 601.5
    assert report(began=None)["duration_s"] == 600.0


def test_a_clock_that_is_behind_makes_no_negative_duration() -> None:
    assert report(last_sample=999.0)["duration_s"] == 0


# --- text ---


def test_text_has_the_figures_the_rows_and_what_they_rest_on() -> None:
    text = printed(report())
    for words in (
        "Run gpt-1 (finished): 300 steps in 10.0 min",
        "1.000 kWh",
        "1.200 kWh",
        "53 g (France 2024, 44.18 g/kWh)",
        "0.3000 EUR",
        "20 steps, 6.0 min",
        "100.00 Wh (10.0%)",
        "node2",
        "loss 9.1 | expected [2.3]",
        "loss spike at 120",
    ):
        assert words in text


def test_text_says_what_is_not_known_and_the_remedy() -> None:
    text = printed(report(EnergySettings(), EnergyLedger()))
    assert "not known" in text
    assert "TRIMTAB_ENERGY__PLACE" in text
    assert "PUE not set" in text


# --- csv, markdown, model card ---


def test_csv_is_a_header_and_a_line_with_nothing_for_what_is_not_known() -> None:
    (line,) = csv.DictReader(io.StringIO(as_csv([report(EnergySettings(place="FR"), run='a,"b"')])))
    assert (line["run"], line["steps"], line["energy_joules"]) == ('a,"b"', "300", "3600000.0")
    assert float(line["emissions_location_g"]) == pytest.approx(44.18)
    assert (line["cost"], line["lost_joules"], line["incidents"], line["rollbacks"]) == (
        "",
        "360000.0",
        "1",
        "1",
    )


def test_intensities_of_the_hours_come_as_their_mean_in_a_table_and_on_a_card() -> None:
    dear, cheap = (report(intensities=Constant(g_per_kwh)) for g_per_kwh in (60.0, 20.0))
    first, second = csv.DictReader(io.StringIO(as_csv([dear, cheap])))
    assert (float(first["intensity_g_per_kwh"]), float(second["intensity_g_per_kwh"])) == (60.0, 20.0)
    source = ModelCard(as_model_card([dear, cheap])).data.get("co2_eq_emissions")["source"]
    assert "of 2 runs" in source
    assert "grid mean of its hours, 40 g/kWh" in source


def test_markdown_keeps_its_tables_whole() -> None:
    lines = as_markdown([report()]).splitlines()
    assert "| node1 | NVIDIA H100 | gpu | counter | 1800000.000 | 0.0 |" in lines
    assert "| 120 | critical | loss_spike | open | loss 9.1 \\| expected [2.3] |" in lines
    assert "| IT energy | 1.000 kWh |" in lines


def test_the_model_card_is_what_the_hub_reads() -> None:
    card = ModelCard(as_model_card([report()]))
    assert card.data.get("co2_eq_emissions") == {
        "emissions": 53.016,
        "source": "Trimtab: energy by counter, grid France 2024, 44.18 g/kWh, PUE 1.2",
        "training_type": "pre-training",
        "geographical_location": "France",
        "hardware_used": "2 NVIDIA H100",
    }
    assert "## Environmental impact" in card.text


def test_a_model_card_without_a_place_claims_no_emissions() -> None:
    card = ModelCard(as_model_card([report(EnergySettings(), phase=None)]))
    assert "co2_eq_emissions" not in card.data
    assert "TRIMTAB_ENERGY__PLACE" in card.text


def test_a_model_card_claims_no_emissions_of_a_part() -> None:
    told = report(EnergySettings(), intensities=Constant(50.0, hours=1))
    assert 0 < told["factors"]["location"]["unpriced_kwh"] < 1
    assert told["emissions_g"]["location"] is not None
    assert "co2_eq_emissions" not in ModelCard(as_model_card([told])).data


# --- runs that are large, or not over ---


def test_many_devices_are_a_line_for_each_kind_but_all_in_json() -> None:
    made = ledger_of(
        *(
            device(
                [0, 10], counter=[0, 10_000_000], host=f"node{i // 8}", boot_id=f"b{i // 8}", uuid=f"GPU-{i}"
            )
            for i in range(104)
        )
    )
    told = report(made=made)
    text = printed(told)
    assert "104 NVIDIA H100" in text
    assert "13 hosts" in text
    assert "| 13 hosts | 104 NVIDIA H100 | gpu | counter | 1040000.000 | 0.0 |" in as_markdown([told])
    assert len(told["energy"]["by"]) == 104


def test_a_dozen_devices_have_a_line_each() -> None:
    made = ledger_of(*(device([0, 10], counter=[0, 10_000_000], uuid=f"GPU-{i}") for i in range(12)))
    assert printed(report(made=made)).count("10000.0 J") == 0
    assert printed(report(made=made)).count("2.78 Wh") == 12


def test_a_run_that_is_not_over_says_so() -> None:
    told = report(status="running")
    assert "the run is running: these are the figures so far" in told["assumptions"]
    assert not any("so far" in each for each in report(status="failed")["assumptions"])
