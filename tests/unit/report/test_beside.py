"""What a report tells beside its contract, from the shapes in which the ledger tells it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trimtab_monitor.ledger.testing import device, ledger_of
from trimtab_monitor.pricing import EnergySettings
from trimtab_monitor.report import build_report
from trimtab_monitor.report.figures import place
from trimtab_monitor.report.summary import summary_lines
from trimtab_monitor.report.table import as_csv
from trimtab_monitor.report.testing import run_view


def report(
    energy: Mapping[str, Any] | None = None, lost: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A kilowatt-hour in France; `energy`, `lost` and `more` go over what its ledger tells."""
    made = ledger_of(device(range(0, 3_601, 10), counter=[10_000_000 * i for i in range(361)]))
    view = run_view(made, EnergySettings(place="FR"))
    told = {"energy": {**view.ledger["energy"], **(energy or {})}}
    told["lost_work"] = {**view.ledger["lost_work"], **(lost or {})}
    return build_report(replace(view, ledger={**view.ledger, **told, **more}))


def told(made: dict[str, Any]) -> dict[str, str]:
    return dict(summary_lines(made))


def test_the_interval_is_told_where_there_is_doubt() -> None:
    doubtful = report({"low_joules": 3_420_000.0, "high_joules": 3_780_000.0})
    assert doubtful["interval"] == {"low_joules": 3_420_000, "high_joules": 3_780_000}
    assert told(doubtful)["IT energy"] == "1.000 kWh (between 950.00 Wh and 1.050 kWh)"
    exact = report({"low_joules": 3_600_000.0, "high_joules": 3_600_000.0})
    assert told(exact)["IT energy"] == "1.000 kWh"
    unmeasured = report({"joules": None, "low_joules": None, "high_joules": None})
    assert unmeasured["interval"] == {"low_joules": None, "high_joules": None}


def test_what_others_used_is_told_apart() -> None:
    shared = report({"others_joules": 1_800_000.0})
    assert shared["energy"]["joules"] == 3_600_000
    assert told(shared)["Other jobs on the same devices"] == "500.00 Wh, in no sum (an estimate)"
    assert "Other jobs on the same devices" not in told(report({"others_joules": 0.0}))


def test_lost_work_is_told_by_cause() -> None:
    cause = {"cause": "hang", "steps": 3, "seconds": 90.0, "joules": 36_000.0}
    assert told(report(lost={"by_cause": [cause]}))["Lost by hang"] == "3 steps, 90.0 s, 10.00 Wh"


def test_water_hours_and_other_emissions_are_told_where_they_are_known() -> None:
    lines = told(report(water_l=202_500.0, gpu_hours=1.5, embodied_g=28.539, marginal_g=610.0))
    assert lines["Water"] == "202.50 m3"
    assert lines["GPU hours"] == "1.50 h"
    assert lines["Making of the devices, its share"] == "28.5 g"
    assert lines["Emissions, marginal (in no sum)"] == "610 g"
    unknown = told(report(water_l=None, gpu_hours=None, embodied_g=None, marginal_g=None))
    assert unknown.keys().isdisjoint(lines.keys() - unknown.keys())
    assert "Water" not in unknown


def test_parts_of_a_cost_are_told_if_there_are_several_or_the_currency_differs() -> None:
    electricity = {"amount": 0.3, "currency": "EUR"}
    both = {"electricity": electricity, "gpu_hours": {"amount": 4.0, "currency": "EUR"}}
    lines = told(report(cost=4.3, currency="EUR", cost_parts=both))
    assert (lines["Cost"], lines["Cost of GPU hours"]) == ("4.30 EUR", "4.00 EUR")
    one = {"electricity": electricity, "gpu_hours": {"amount": None, "currency": "EUR"}}
    assert "Cost of electricity" not in told(report(cost=0.3, currency="EUR", cost_parts=one))
    foreign = {
        "electricity": {"amount": None, "currency": "EUR"},
        "gpu_hours": {"amount": 4.0, "currency": "USD"},
    }
    assert told(report(cost=None, currency="EUR", cost_parts=foreign))["Cost of GPU hours"] == "4.00 USD"


def test_a_budget_is_told_with_what_is_used_or_why_that_is_not_known() -> None:
    line = {"name": "run", "limit": 2.0, "unit": "kWh", "ratio": 0.51, "note": None}
    unknown = {"name": "kg", "limit": 1.0, "unit": "kg", "ratio": None, "note": "emissions are not known"}
    lines = told(report(budget={"lines": [line, unknown]}))
    assert lines["Budget run"] == "51.0% of 2 kWh used at most"
    assert lines["Budget kg"] == "1 kg: emissions are not known"


def test_every_kilowatt_hour_says_what_its_intensity_is_from() -> None:
    factors = report()["factors"]
    part = {"source": "electricity-maps", "place": "FR", "year": None, "basis": "life cycle", "kwh": 0.75}
    location = {
        **factors["location"],
        "priced_by": [{**part, "attribution": "CC BY"}],
        "mean_g_per_kwh": 50.0,
    }
    made = report(factors={**factors, "location": location})
    assert "0.75 kWh priced by electricity-maps FR: life cycle" in made["assumptions"]
    assert "intensities: CC BY" in made["assumptions"]
    assert place(made["factors"]) == "mean of its hours, 50 g/kWh"


def test_an_older_collector_tells_less_and_is_read_all_the_same() -> None:
    made = ledger_of(device([0, 10], counter=[0, 10_000_000]))
    view = run_view(made, EnergySettings(place="FR"))
    rows = [
        {name: row[name] for name in ("host", "device", "component", "method", "joules", "gap_seconds")}
        for row in view.ledger["energy"]["by"]
    ]
    known = ("facility_joules", "emissions_g", "cost", "currency", "lost_work", "factors", "notes")
    energy = {name: view.ledger["energy"][name] for name in ("joules", "gap_seconds", "devices")}
    old = {name: view.ledger[name] for name in known} | {"energy": {**energy, "by": rows}}
    told_by_it = build_report(replace(view, ledger=old))
    assert told_by_it["interval"] == {"low_joules": 10_000, "high_joules": 10_000}
    assert told_by_it["water_l"] is told_by_it["forecast"] is None
    (line,) = csv.DictReader(io.StringIO(as_csv([told_by_it])))
    assert (line["water_l"], line["gpu_hours"]) == ("", "")


BAND = {"low": 1.0, "expected": 2.0, "high": 3.0}


def test_a_forecast_is_told_with_its_intervals_and_what_to_know_of_it() -> None:
    total = {"kwh": BAND, "emissions_g": {"location": BAND, "market": None}, "cost": BAND, "currency": "EUR"}
    forecast = {
        "completion": {"steps_to_go": 500, "seconds": {**BAND, "high": 90.0}, "total": total},
        "loss": {"at_end": BAND},
        "tokens": {"per_parameter": 5.0, "per_parameter_at_end": 22.4, "compute_optimal_per_parameter": 20.0},
        "notes": ["the loss is forecast by a power law"],
    }
    lines = told(report(forecast=forecast))
    assert lines["Time for 500 steps to go"] == "2.0 s (between 1.0 s and 90.0 s)"
    assert lines["Energy of the site at the end"] == "2.000 kWh (between 1.000 kWh and 3.000 kWh)"
    assert lines["Emissions at the end, location-based"] == "2 g (between 1 g and 3 g)"
    assert lines["Cost at the end"] == "2.00 EUR (between 1.00 EUR and 3.00 EUR)"
    assert lines["Loss at the end, forecast"] == "2 (between 1 and 3)"
    assert lines["Tokens per parameter"] == "5, 22.4 at the end, compute-optimal is about 20"


def test_a_forecast_that_cannot_be_made_is_a_note_of_a_run_that_goes_on() -> None:
    nothing = {"completion": None, "loss": None, "tokens": None, "notes": ["no forecast: give total_steps"]}
    view = run_view(ledger_of(device([0, 10], counter=[0, 10])), status="running")
    going = build_report(replace(view, ledger={**view.ledger, "forecast": nothing}))
    assert "no forecast: give total_steps" in going["assumptions"]
    assert not any("forecast" in each for each in report(forecast=nothing)["assumptions"])
    assert not any("end" in name for name in told(going))
