"""Energy of runs for Prometheus: what was measured, how, and what is in doubt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from trimtab_monitor import metric_names as names
from trimtab_monitor.metrics.families import counter, each_run, gauge
from trimtab_monitor.summary import RunSummary

_LABELS = ("run", "component", "method")


def energy_metrics(runs: Sequence[RunSummary]) -> Iterator[Metric]:
    """Power, energy by component and method, and what happened to the counters."""
    yield gauge(
        names.RUN_POWER_WATTS,
        "What its devices draw, as last read.",
        ["run", "component"],
        (([run.run, component], watts) for run in runs for component, watts in run.power_w.items()),
    )
    yield from _by_method(runs)
    yield each_run(
        counter,
        names.RUN_LOST_JOULES,
        "IT energy of work thrown away: part of its energy.",
        runs,
        lambda run: run.lost_joules,
    )
    yield from _meters(runs)


def _by_method(runs: Sequence[RunSummary]) -> Iterator[Metric]:
    lines = [
        ([run.run, line.component, line.method], line) for run in runs for line in run.energy if line.summed
    ]
    yield counter(
        names.RUN_ENERGY_JOULES,
        "IT energy by how it is known.",
        _LABELS,
        ((labels, line.joules) for labels, line in lines if line.joules is not None),
    )
    yield counter(
        names.RUN_ENERGY_GAP_SECONDS,
        "Device seconds of which no energy is known.",
        _LABELS,
        ((labels, line.gap_seconds) for labels, line in lines),
    )
    yield counter(
        names.RUN_ENERGY_ESTIMATED_JOULES,
        "What these seconds may have used; in no sum.",
        _LABELS,
        ((labels, line.estimated_joules) for labels, line in lines),
    )
    yield counter(
        names.RUN_ENERGY_OTHERS_JOULES,
        "What other jobs used of its devices by estimate; in no sum.",
        _LABELS,
        ((labels, line.others_joules) for labels, line in lines),
    )


def _meters(runs: Sequence[RunSummary]) -> Iterator[Metric]:
    yield counter(
        names.RUN_COUNTER_RESETS,
        "Times that an energy counter did not simply go on.",
        ["run", "kind"],
        (
            ([run.run, kind], float(count))
            for run in runs
            for kind, count in run.meters.counter_resets.items()
        ),
    )
    yield gauge(
        names.RUN_COUNTER_CHECK_RATIO,
        "Energy by a device's counter over energy by its power, of the devices furthest off.",
        ["run", "bound"],
        (
            ([run.run, bound], ratio)
            for run in runs
            for bound, ratio in (("lowest", run.meters.lowest_check), ("highest", run.meters.highest_check))
            if ratio is not None
        ),
    )
