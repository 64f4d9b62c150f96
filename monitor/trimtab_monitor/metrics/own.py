"""What the collector tells Prometheus of itself."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from trimtab_alerts.dispatcher import Dispatcher
from trimtab_monitor import metric_names as names
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.metrics.families import Family, counter, gauge
from trimtab_monitor.pricing.intensity.feeds import Feeds
from trimtab_monitor.store.protocols import Store
from trimtab_monitor.stream import Hub


class OwnMetrics:
    """Counters and gauges of intake, fold, store, outbox and stream."""

    def __init__(
        self,
        intake: Intake,
        engine: Engine,
        store: Store,
        hub: Hub,
        dispatcher: Dispatcher,
        feeds: Feeds,
    ) -> None:
        self._intake = intake
        self._engine = engine
        self._store = store
        self._hub = hub
        self._dispatcher = dispatcher
        self._feeds = feeds

    def collect(self) -> Iterator[Metric]:
        """Everything, as of now."""
        yield from self._ingest()
        yield from self._fold()
        yield from self._alerts()
        yield from self._grid()
        yield _one(gauge, names.STREAM_CLIENTS, "Clients of the stream.", self._hub.clients)
        yield _one(counter, names.STREAM_CLIENTS_DROPPED, "Clients that did not keep up.", self._hub.dropped)

    def _ingest(self) -> Iterator[Metric]:
        counts = self._intake.counts
        results = {
            "stored": counts.stored,
            "duplicate": counts.duplicate,
            "refused": counts.refused,
            "unavailable": counts.unavailable,
        }
        rows = (([result], float(count)) for result, count in results.items())
        yield counter(names.INGEST_BATCHES, "Batches by what came of them.", ["result"], rows)
        yield _one(counter, names.INGEST_SAMPLES, "Rows stored.", counts.samples)
        yield _one(counter, names.INGEST_BYTES, "Bytes of batches taken.", counts.bytes)

    def _fold(self) -> Iterator[Metric]:
        engine = self._engine
        yield _one(gauge, names.LOG_POSITION, "The newest entry of the log.", self._store.log.end())
        yield _one(gauge, names.FOLD_POSITION, "The last entry folded.", engine.progress.position)
        yield _one(counter, names.FOLD_ERRORS, "Entries that had to be skipped.", engine.errors)
        ready = self._store.failure() is None and engine.is_alive()
        yield _one(gauge, names.STORE_READY, "1 while batches can be taken.", float(ready))

    def _alerts(self) -> Iterator[Metric]:
        outbox = self._store.outbox
        oldest = outbox.oldest()
        age_s = 0.0 if oldest is None else max(0.0, self._intake.now() - oldest)
        yield _one(gauge, names.OUTBOX_DEPTH, "Deliveries still to be made.", outbox.depth())
        yield _one(gauge, names.OUTBOX_OLDEST_SECONDS, "Age of the oldest of them, 0 if none.", age_s)
        rows = [
            ([name, result], float(count))
            for name, counts in self._dispatcher.counts().items()
            for result, count in (("sent", counts.sent), ("retried", counts.retried), ("dead", counts.dead))
        ]
        yield counter(names.ALERT_SENDS, "Sends by what came of them.", ["destination", "result"], rows)

    def _grid(self) -> Iterator[Metric]:
        states = [((each.provider, each.zone, each.signal), each) for each in self._feeds.states()]
        labels = ["provider", "zone", "signal"]
        newest = [(zone, each.newest.g_per_kwh) for zone, each in states if each.newest is not None]
        yield gauge(names.GRID_INTENSITY, "Grams of CO2e per kWh of the grid, newest hour.", labels, newest)
        errors = [(zone, float(each.errors)) for zone, each in states]
        yield counter(names.GRID_ERRORS, "Times a provider of intensities failed.", labels, errors)
        told = [(zone, each.last_success) for zone, each in states if each.last_success is not None]
        yield gauge(names.GRID_LAST_SUCCESS, "When a provider last told something.", labels, told)


def _one(family: Family, name: str, help_: str, value: float) -> Metric:
    return family(name, help_, [], [([], value)])
