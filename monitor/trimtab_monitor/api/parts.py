"""The collector's parts, put together once by `app`, as the endpoints need them."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from trimtab_monitor.api.problems import unknown_run
from trimtab_monitor.budget.accounts import Accounts
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.metrics.runs import Exposition
from trimtab_monitor.run_ledger import RunLedgers
from trimtab_monitor.series.reader import SeriesReader
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.protocols import Appended, Store, Views
from trimtab_monitor.stream import Hub
from trimtab_monitor.summary import RunSummary

FOLD_WAIT_S: Final = 2.0
"""How long a request waits for the fold to come past what it wrote, in seconds."""

REFRESH_S: Final = 5.0
"""How long a question waits for the fold to come past what was written before it, in seconds."""


@dataclass(frozen=True, slots=True)
class Collector:
    """What endpoints work with."""

    settings: Settings
    store: Store
    intake: Intake
    engine: Engine
    series: SeriesReader
    hub: Hub
    exposition: Exposition
    accounts: Accounts
    ledgers: RunLedgers

    def summary(self, run: str) -> RunSummary:
        """The run as it stands.

        Raises:
            Problem: 404, there is no such run.
        """
        if not self.intake.knows(run):
            raise unknown_run(run)
        self.engine.refresh(REFRESH_S)
        found = self.store.views.summary(run)
        if found is None:
            raise unknown_run(run)
        return found

    def views(self) -> Views:
        """What is committed, everything that was acknowledged by now included."""
        self.engine.refresh(REFRESH_S)
        return self.store.views

    def wait_for(self, appended: Future[Appended]) -> None:
        """Wait until an entry is durable and, within reason, folded."""
        self.engine.progress.wait(appended.result().position, FOLD_WAIT_S)

    def url(self, request: Request, path: str) -> str:
        """Where people find `path`: under the public URL, else under the one that they asked."""
        base = self.settings.server.public_url or str(request.base_url)
        return f"{base.rstrip('/')}{path}"


def _of(request: Request) -> Collector:
    collector = request.app.state.collector
    assert isinstance(collector, Collector)
    return collector


Parts = Annotated[Collector, Depends(_of)]
