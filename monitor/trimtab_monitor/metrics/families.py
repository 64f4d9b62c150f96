"""Families of metrics as the exposition writes them: a name, what it means, and a value for each label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from trimtab_monitor.summary import RunSummary

Labelled = tuple[Sequence[str], float]
Rows = Iterable[Labelled]
Family = Callable[[str, str, Sequence[str], Rows], Metric]


def gauge(name: str, help_: str, labels: Sequence[str], rows: Rows) -> Metric:
    """A gauge with a value for each row of label values."""
    family = GaugeMetricFamily(name, help_, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def counter(name: str, help_: str, labels: Sequence[str], rows: Rows) -> Metric:
    """A counter with a value for each row of label values."""
    family = CounterMetricFamily(name, help_, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def each_run(
    family: Family,
    name: str,
    help_: str,
    runs: Sequence[RunSummary],
    value: Callable[[RunSummary], float | None],
) -> Metric:
    """One value a run, left out where it is not known."""
    rows = [([run.run], found) for run in runs if (found := value(run)) is not None]
    return family(name, help_, ["run"], rows)
