"""Where a report's facts come from: a collector over HTTP, or the store that one left behind."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import quote

import urllib3

from trimtab_monitor.json_out import to_plain
from trimtab_monitor.ledger import EnergySettings, priced
from trimtab_monitor.ledger.pricing import repriced
from trimtab_monitor.report.build import RunView
from trimtab_monitor.run_state import unpack
from trimtab_monitor.store.sqlite import SqliteStore

_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_LISTED = 10


class UnknownRun(ValueError):  # noqa: N818 - a state, told as such
    """There is no such run; the message lists those that there are."""

    def __init__(self, run: str, runs: list[str], where: str) -> None:
        listed = ", ".join(runs[:_LISTED]) + (", ..." if len(runs) > _LISTED else "")
        super().__init__(
            f"{where} knows no run {run!r}; it knows {listed}" if runs else f"{where} knows no run at all"
        )


class Source(Protocol):
    """Something that knows runs."""

    where: str

    def runs(self) -> list[str]:
        """Their ids, newest first."""

    def view(self, run: str) -> RunView:
        """One of them."""

    def close(self) -> None:
        """Let go of it."""


def find_run(source: Source, wanted: str) -> str:
    """The run's id; `last` is the newest.

    Raises:
        UnknownRun: there is none.
    """
    runs = source.runs()
    if wanted in runs:
        return wanted
    if wanted == "last" and runs:
        return runs[0]
    raise UnknownRun(wanted, runs, source.where)


class _Closing:
    """Closes itself at the end of a `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        raise NotImplementedError


class HttpSource(_Closing):
    """A collector at `url`. It prices energy with its own settings, unless `energy` has some set.

    Raises:
        OSError: it cannot be reached, or does not answer as a collector does.
    """

    def __init__(self, url: str, energy: EnergySettings) -> None:
        self.where = f"the collector at {url}"
        self._url = url.rstrip("/")
        self._energy = energy
        self._pool = urllib3.PoolManager(retries=urllib3.Retry(2, redirect=2), timeout=_TIMEOUT)

    def runs(self) -> list[str]:
        """See Source."""
        return [run["run"] for run in self._get("/v1/runs")["runs"]]

    def view(self, run: str) -> RunView:
        """See Source."""
        path = f"/v1/runs/{quote(run, safe='')}"
        ledger = self._get(f"{path}/ledger")
        if self._energy.model_fields_set:
            ledger = repriced(ledger, self._energy)
        return RunView(
            run=self._get(path),
            incidents=self._get(f"{path}/incidents"),
            commands=self._get(f"{path}/commands"),
            ledger=ledger,
        )

    def close(self) -> None:
        """See Source."""
        self._pool.clear()

    def _get(self, path: str) -> Any:
        try:
            answer = self._pool.request("GET", self._url + path)
            if answer.status != 200:
                raise OSError(f"{self._url}{path} answered {answer.status}: {_said(answer.data)}")
            return json.loads(answer.data)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(
                f"{self.where} cannot be reached ({_why(error)}): start it, or give --url or --dir"
            ) from None
        except json.JSONDecodeError:
            raise OSError(f"{self._url}{path} is no collector's: it answered no JSON; check --url") from None


def _why(error: urllib3.exceptions.HTTPError) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2]


def _said(body: bytes) -> str:
    return body[:200].decode(errors="replace")


class StoreSource(_Closing):
    """The store of a collector that is not running, in the file `path`."""

    def __init__(self, path: Path, energy: EnergySettings) -> None:
        self.where = str(path)
        self._store = SqliteStore(path)
        self._energy = energy

    def runs(self) -> list[str]:
        """See Source."""
        return [summary.run for summary in self._store.views.summaries()]

    def view(self, run: str) -> RunView:
        """See Source."""
        views = self._store.views
        summary, state = views.summary(run), self._store.state.load(run)
        if summary is None or state is None:
            raise UnknownRun(run, self.runs(), self.where)
        return RunView(
            run=to_plain(summary.as_json()),
            incidents=[to_plain(incident.as_json()) for incident in views.incidents(run)],
            commands=[to_plain(command) for command in views.commands(run)],
            ledger=to_plain(priced(unpack(state).ledger, self._energy)),
        )

    def close(self) -> None:
        """See Source."""
        self._store.close()
