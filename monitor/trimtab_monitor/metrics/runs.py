"""`/metrics`: what Prometheus scrapes, made of committed state at the moment it asks.

Of a run only what is of the whole run, so that a thousand ranks cost no more than one: everything else is in
the log and the API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from trimtab import wire
from trimtab_monitor import metric_names as names
from trimtab_monitor.folding.rank_losses import HIGHEST, LOWEST, MEAN
from trimtab_monitor.liveness import STATUSES
from trimtab_monitor.metrics.energy import energy_metrics
from trimtab_monitor.metrics.families import counter, each_run, gauge
from trimtab_monitor.summary import RunSummary
from trimtab_monitor.types import SEVERITY_RANK

_LATEST: Mapping[str, tuple[str, str]] = {
    wire.LOSS: (names.RUN_LOSS, "The last loss."),
    wire.LOSS + MEAN: (
        names.RUN_LOSS_MEAN,
        "The mean of the losses of all ranks at the newest step that all have sent.",
    ),
    wire.LOSS + LOWEST: (names.RUN_LOSS_MIN, "The lowest of the losses of all ranks at that step."),
    wire.LOSS + HIGHEST: (names.RUN_LOSS_MAX, "The highest of the losses of all ranks at that step."),
    wire.EVAL_LOSS: (names.RUN_EVAL_LOSS, "The last loss of an evaluation."),
    wire.GRAD_NORM: (names.RUN_GRAD_NORM, "The last gradient norm."),
    wire.LR: (names.RUN_LEARNING_RATE, "The last learning rate."),
    wire.STEP_SECONDS: (names.RUN_STEP_SECONDS, "How long the last step took, in seconds."),
}


class Metrics(Collector):
    """`runs` gives the summaries to show, `priced` what they emitted and cost, `own` the collector's own."""

    def __init__(
        self,
        runs: Callable[[], Sequence[RunSummary]],
        priced: Callable[[Sequence[RunSummary]], Iterable[Metric]],
        own: Callable[[], Iterable[Metric]],
    ) -> None:
        self._runs = runs
        self._priced = priced
        self._own = own

    def collect(self) -> Iterator[Metric]:
        """Everything, as of now."""
        runs = self._runs()
        yield from _identity(runs)
        yield from _progress(runs)
        yield from energy_metrics(runs)
        yield from self._priced(runs)
        yield from _stability(runs)
        yield from _loss_of_data(runs)
        yield from self._own()


class Exposition:
    """Writes the metrics in the format that the scraper asks for."""

    def __init__(self, metrics: Metrics) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(metrics)
        ProcessCollector(registry=self._registry)

    def write(self, accept: str) -> tuple[bytes, str]:
        """The body and its content type, for the `Accept` header."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _identity(runs: Sequence[RunSummary]) -> Iterator[Metric]:
    yield gauge(
        names.RUN_INFO,
        "1 for every run; the labels say what it is.",
        ["run", "project", "name", "phase", "mode"],
        ((_labels(run), 1.0) for run in runs),
    )
    yield gauge(
        names.RUN_STATUS,
        "1 for the status that the run has.",
        ["run", "status"],
        (([run.run, status], float(run.status == status)) for run in runs for status in STATUSES),
    )


def _labels(run: RunSummary) -> list[str]:
    told = run.registration
    return [run.run, told.project, told.name or "", told.phase or "", run.mode]


def _progress(runs: Sequence[RunSummary]) -> Iterator[Metric]:
    yield each_run(gauge, names.RUN_STEP, "The last step done.", runs, lambda run: run.last_step)
    yield each_run(gauge, names.RUN_ATTEMPT, "How often it began again.", runs, lambda run: run.attempt)
    yield each_run(
        gauge,
        names.RUN_STEPS_PLANNED,
        "How many steps it wants.",
        runs,
        lambda run: run.registration.total_steps,
    )
    for metric, (name, help_) in _LATEST.items():
        yield gauge(
            name, help_, ["run"], (([run.run], run.latest[metric]) for run in runs if metric in run.latest)
        )
    yield each_run(
        gauge, names.RUN_TOKENS_PER_SECOND, "Tokens of the last step a second.", runs, _tokens_per_second
    )
    yield each_run(
        gauge,
        names.RUN_LAST_SAMPLE,
        "When its last step ended, by the job's clock.",
        runs,
        lambda run: run.last_sample,
    )
    yield each_run(
        gauge,
        names.RUN_LAST_HEARD,
        "When it was last heard of, by the collector's clock.",
        runs,
        lambda run: run.heard,
    )


def _tokens_per_second(run: RunSummary) -> float | None:
    tokens = run.latest.get(wire.TOKENS, run.registration.tokens_per_step)
    seconds = run.latest.get(wire.STEP_SECONDS, 0.0)
    return tokens / seconds if tokens is not None and seconds > 0 else None


def _stability(runs: Sequence[RunSummary]) -> Iterator[Metric]:
    labels = ["run", "severity"]
    yield gauge(
        names.RUN_INCIDENTS_OPEN,
        "Incidents that are open.",
        labels,
        (([run.run, each], run.incidents_open.get(each, 0)) for run in runs for each in SEVERITY_RANK),
    )
    yield counter(
        names.RUN_INCIDENTS,
        "Incidents so far, open and resolved.",
        labels,
        (([run.run, each], run.incidents_total.get(each, 0)) for run in runs for each in SEVERITY_RANK),
    )
    yield each_run(
        counter, names.RUN_ROLLBACKS, "Times that it was rolled back.", runs, lambda run: run.rollbacks
    )
    yield each_run(
        counter, names.RUN_LOST_STEPS, "Steps done and thrown away.", runs, lambda run: run.lost_steps
    )
    yield each_run(
        counter, names.RUN_LOST_SECONDS, "Time of steps thrown away.", runs, lambda run: run.lost_seconds
    )


def _loss_of_data(runs: Sequence[RunSummary]) -> Iterator[Metric]:
    yield each_run(
        counter,
        names.RUN_SAMPLES_DROPPED,
        "Samples that the job dropped.",
        runs,
        lambda run: run.samples_dropped,
    )
    yield each_run(
        counter, names.RUN_HOOK_ERRORS, "Faults in the job's hooks.", runs, lambda run: run.hook_errors
    )
    yield each_run(
        counter, names.RUN_FOLD_ERRORS, "Entries that had to be skipped.", runs, lambda run: run.fold_errors
    )
    yield each_run(
        gauge,
        names.RUN_METRICS_LEFT_OUT,
        "Metrics whose last value is not told, for want of room.",
        runs,
        lambda run: run.metrics_left_out,
    )
    yield each_run(
        counter,
        names.RUN_UNREADABLE_EVENTS,
        "Events that mean nothing as they are.",
        runs,
        lambda run: run.unreadable_events,
    )
