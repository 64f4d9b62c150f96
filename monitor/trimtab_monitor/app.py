"""Puts the collector together: one straight function, and beside every part how it is taken down again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.routing import Route

from trimtab.version import __version__
from trimtab_alerts.assembly import build_dispatcher
from trimtab_monitor.api import alerts, commands, handlers, pages, probes, projects, runs
from trimtab_monitor.api.body_limit import BodyLimit
from trimtab_monitor.api.openapi import describe
from trimtab_monitor.api.parts import Collector
from trimtab_monitor.budget.watch import BudgetWatch
from trimtab_monitor.entries import CollectorStarted, draft_of
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.folding.told import Announcer
from trimtab_monitor.idle import IdleWatch
from trimtab_monitor.intake.admission import Admission
from trimtab_monitor.intake.endpoint import Ingest
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.intake.orphans import Orphans
from trimtab_monitor.intake.recall import recall_holders
from trimtab_monitor.metrics.own import OwnMetrics
from trimtab_monitor.metrics.priced import PricedRuns
from trimtab_monitor.metrics.runs import Exposition, Metrics
from trimtab_monitor.pricing.intensity.assembly import build_feeds
from trimtab_monitor.run_ledger import RunLedgers
from trimtab_monitor.series.reader import SeriesReader
from trimtab_monitor.server import Server
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.sqlite import STORE_FILE, SqliteStore
from trimtab_monitor.stream import Hub
from trimtab_monitor.teardown import Teardown
from trimtab_monitor.ticker import Ticker
from trimtab_monitor.workers import Periodic

SPOOL: Final = "spool"
SWEEP_S: Final = 1.0
IDLE_LOOK_S: Final = 1.0


def build(settings: Settings, folder: Path, url: str, stop: Teardown, *, embedded: bool = False) -> Server:
    """Build a collector that keeps its data in `folder` and is reached at `url`, ready to serve.

    One function on purpose: this is the whole of how the parts hang together, in the order in which they
    start; `stop` takes them down in the opposite order. Embedded, it also brings in what dead processes on
    this host left, and stops by itself when nothing is left to do.

    Raises:
        StoreError: the folder cannot be used.
        StoreUnavailable: its disk is full.
    """
    hub = Hub(settings.server.stream_queue)
    app = FastAPI(title="Trimtab", version=__version__, redoc_url=None)
    server = Server(app, on_stop=hub.close)

    store = SqliteStore(folder / STORE_FILE, settings.storage.max_bytes)
    stop.add("store", store.close)

    holders, untold = recall_holders(store, settings, time.time())
    intake = Intake(store.log, holders=holders)
    intake.append(draft_of(CollectorStarted(intake.now())), [draft_of(each) for each in untold]).result()

    public_url = settings.server.public_url or url
    dispatcher = build_dispatcher(store.outbox, settings.alerts, public_url, on_crash=server.crashed)
    dispatcher.start()
    stop.add("alerts", dispatcher.stop)

    admission = Admission(settings.server.max_inflight_bytes, settings.server.max_backlog_batches)
    announcer = Announcer(hub, admission, dispatcher.wake)
    engine = Engine(store, settings, listener=announcer, on_crash=server.crashed)
    engine.start()
    stop.add("fold", engine.stop)

    ticker = Ticker(intake, store.log, engine, settings.storage.keep_ticks_s)
    ticks = Periodic("ticks", settings.liveness.tick_s, ticker.tick, server.crashed)
    ticks.start()
    stop.add("ticks", ticks.stop)

    series = SeriesReader(store.log, settings.storage.series_cache_bytes)
    feeds, intensities = build_feeds(settings.energy, store, intake.now)
    feeds.start()
    stop.add("carbon intensities", feeds.stop)

    ledgers = RunLedgers(store, settings, series, intake.now, intensities)
    budgets = BudgetWatch(store, intake, ledgers.accounts, settings.budget)
    looks_at_budgets = Periodic("budgets", settings.budget.every_s, budgets.look, server.crashed)
    looks_at_budgets.start()
    stop.add("budgets", looks_at_budgets.stop)

    if embedded:
        orphans = Orphans(folder / SPOOL, intake, admission)
        sweeps = Periodic("sweeps", SWEEP_S, orphans.sweep, server.crashed)
        sweeps.start()
        stop.add("sweeps", sweeps.stop)

        idle = IdleWatch(engine, store, settings.server.idle_exit_s, server.stop, time.monotonic)
        looks = Periodic("idle watch", IDLE_LOOK_S, idle.look, server.crashed)
        looks.start()
        stop.add("idle watch", looks.stop)

    own = OwnMetrics(intake, engine, store, hub, dispatcher, feeds)
    window_s = settings.server.metrics_window_s
    priced = PricedRuns(ledgers.look, intake.now)
    metrics = Metrics(
        lambda: store.views.summaries(heard_since=intake.now() - window_s), priced.collect, own.collect
    )
    exposition = Exposition(metrics)
    collector = Collector(settings, store, intake, engine, series, hub, exposition, ledgers.accounts, ledgers)
    ingest = Ingest(intake, admission, engine.progress, engine.commands_of, settings.server)
    _route(app, collector, ingest)
    return server


def _route(app: FastAPI, collector: Collector, ingest: Ingest) -> None:
    """Hang the endpoints into the app."""
    app.state.collector = collector
    app.add_middleware(BodyLimit, limit=collector.settings.server.max_body_bytes)
    handlers.install(app)
    app.router.routes.append(Route("/v1/runs/{run}/batches", ingest.post, methods=["POST"]))
    for part in (runs, projects, commands, alerts, probes, pages):
        app.include_router(part.router)
    describe(app)
