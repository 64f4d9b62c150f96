"""Energy as Prometheus is told of it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from prometheus_client.core import Metric

from trimtab_monitor import metric_names as names
from trimtab_monitor.entries import Registration
from trimtab_monitor.folding.energy_now import energy_lines, lost_joules, meters
from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import T0, device, ledger_of
from trimtab_monitor.metrics.energy import energy_metrics
from trimtab_monitor.summary import RunSummary

MINUTES = range(0, 301, 10)


def summary(made: EnergyLedger) -> RunSummary:
    """The summary of a run with this ledger."""
    lines = energy_lines(made)
    return RunSummary(
        run="gpt-1",
        registration=Registration(project="gpt"),
        mode="off",
        status="running",
        reason="",
        created=T0,
        heard=T0,
        attempt=0,
        last_step=1,
        last_sample=T0,
        latest={},
        incidents_open={},
        incidents_total={},
        power_w={"gpu": 500.0},
        energy=lines,
        lost_steps=0,
        lost_seconds=0.0,
        lost_joules=lost_joules(made, lines),
        meters=meters(made),
        rollbacks=0,
        samples_dropped=0,
        hook_errors=0,
        fold_errors=0,
    )


def samples(metrics: Iterable[Metric]) -> dict[str, dict[tuple[str, ...], float]]:
    """By name, the values by their labels beside the run."""
    told: dict[str, dict[tuple[str, ...], float]] = {}
    for family in metrics:
        for sample in family.samples:
            labels = tuple(value for name, value in sample.labels.items() if name != "run")
            told.setdefault(sample.name, {})[labels] = sample.value
    return told


def told(made: EnergyLedger) -> dict[str, dict[tuple[str, ...], float]]:
    return samples(energy_metrics([summary(made)]))


def test_devices_are_summed_by_component_and_method() -> None:
    made = ledger_of(
        *(device(MINUTES, counter=[5_000_000 * i for i in range(31)], uuid=f"GPU-{i}") for i in range(3))
    )
    energy = told(made)
    assert energy[names.RUN_ENERGY_JOULES] == {("gpu", "counter"): 450_000}
    assert energy[names.RUN_ENERGY_GAP_SECONDS] == {("gpu", "counter"): 0}
    assert energy[names.RUN_ENERGY_ESTIMATED_JOULES] == {("gpu", "counter"): 0}
    assert energy[names.RUN_ENERGY_OTHERS_JOULES] == {("gpu", "counter"): 0}
    assert energy[names.RUN_POWER_WATTS] == {("gpu",): 500}


def test_what_gaps_may_have_used_is_apart() -> None:
    made = ledger_of(device([0, 1, 601, 602], power=[500.0] * 4))
    energy = told(made)
    (gap_s,) = energy[names.RUN_ENERGY_GAP_SECONDS].values()
    (estimated_joules,) = energy[names.RUN_ENERGY_ESTIMATED_JOULES].values()
    assert gap_s == 600
    assert estimated_joules > 100_000


def test_a_counter_that_began_again_is_told_and_one_that_did_not_is_not() -> None:
    counter = [5_000_000 * i for i in range(16)] + [5_000_000 * i for i in range(15)]
    again = told(ledger_of(device(MINUTES, counter=counter)))
    assert again[names.RUN_COUNTER_RESETS] == {("reset",): 1}
    steady = told(ledger_of(device(MINUTES, counter=[5_000_000 * i for i in range(31)])))
    assert names.RUN_COUNTER_RESETS not in steady


def test_the_counters_that_are_furthest_from_their_power_are_told() -> None:
    made = ledger_of(
        device(MINUTES, counter=[5_000_000 * i for i in range(31)], power=[500.0] * 31, uuid="GPU-1"),
        device(MINUTES, counter=[4_500_000 * i for i in range(31)], power=[500.0] * 31, uuid="GPU-2"),
    )
    ratios = told(made)[names.RUN_COUNTER_CHECK_RATIO]
    assert (round(ratios[("lowest",)], 2), round(ratios[("highest",)], 2)) == (0.9, 1.0)


def test_lost_energy_is_told_once_any_was_measured() -> None:
    made = ledger_of(device(MINUTES, counter=[5_000_000 * i for i in range(31)]))
    assert told(made)[names.RUN_LOST_JOULES] == {(): 0}
    made.lose("rollback", T0, T0 + 60, steps=6)
    assert told(made)[names.RUN_LOST_JOULES] == {(): 30_000}
    assert names.RUN_LOST_JOULES not in told(EnergyLedger())


def test_the_lost_energy_is_what_the_ledger_says() -> None:
    made = ledger_of(device(MINUTES, counter=[5_000_000 * i for i in range(31)]))
    made.lose("hang", T0 + 15, T0 + 95)
    assert lost_joules(made, energy_lines(made)) == made.totals().lost_joules


def test_a_summary_of_an_older_version_is_read() -> None:
    whole = msgspec.json.decode(msgspec.json.encode(summary(EnergyLedger())))
    older = {name: value for name, value in whole.items() if name not in ("meters", "lost_joules")}
    read = msgspec.convert(older, RunSummary)
    assert read.lost_joules is None
    assert names.RUN_COUNTER_RESETS not in samples(energy_metrics([read]))
