"""`/` and `/runs/{run}`: plain pages that lead to everything there is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

from trimtab_monitor.api.parts import Parts
from trimtab_monitor.summary import RunSummary
from trimtab_monitor.types import Incident
from trimtab_monitor.wording import number

router: Final = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

AGAIN_S: Final = 2
"""How often the page of a run that is not heard of yet asks again, in seconds."""

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}"
    "td,th{text-align:left;padding:.2rem 1rem .2rem 0}"
)


@router.get("/", response_model=None)
def home(parts: Parts, run: str | None = None) -> Response:
    """The runs, newest first; `?run=` leads to the page of one."""
    if run:
        return RedirectResponse(_path("/runs", run))
    rows = [_run_row(summary) for summary in parts.views().summaries(limit=1000)]
    table = _table(("run", "project", "status", "step", "open incidents"), rows)
    links = _links(("/v1/runs", "/v1/alerts", "/metrics", "/docs"))
    return _page("Trimtab", f"{table if rows else '<p>No run yet.</p>'}{links}")


@router.get("/runs/{run}")
def run_page(run: str, parts: Parts) -> HTMLResponse:
    """One run; of one that is not heard of yet, a page that asks again, as its job has told people of it."""
    if not parts.intake.knows(run):
        return _page(run, f"<p>not heard of yet; asking again every {AGAIN_S} s</p>", again_s=AGAIN_S)
    summary = parts.summary(run)
    incidents = [_incident_row(incident) for incident in parts.store.views.incidents(run)]
    table = _table(("id", "kind", "severity", "steps", "state", "summary"), incidents)
    return _page(
        run, f"{_basics(summary)}{table if incidents else '<p>No incidents.</p>'}{_data_of(summary)}"
    )


def _basics(summary: RunSummary) -> str:
    """How the run stands, and the last value of each metric."""
    reason = f" ({summary.reason})" if summary.reason else ""
    rows = {
        "status": f"{summary.status}{reason}",
        "last step": f"{summary.last_step}, attempt {summary.attempt}",
        "rollback": f"{summary.mode}; {summary.rollbacks} done, {summary.lost_steps} steps lost",
        "energy": _energy(summary.joules),
        **{f"latest {name}": number(value) for name, value in sorted(summary.latest.items())},
    }
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(told)}</td></tr>" for name, told in rows.items())
    return f"<table>{cells}</table>"


def _energy(joules: float | None) -> str:
    return "not measured" if joules is None else f"{number(joules)} J"


def _data_of(summary: RunSummary) -> str:
    base = _path("/v1/runs", summary.run)
    series = [f"{base}/series?metric={quote(metric, safe='')}" for metric in sorted(summary.latest)]
    return _links([base, f"{base}/incidents", f"{base}/ledger", f"{base}/commands", *series])


def _path(under: str, run: str) -> str:
    return f"{under}/{quote(run, safe='')}"


def _run_row(summary: RunSummary) -> tuple[str, ...]:
    link = f'<a href="/runs/{escape(summary.run)}">{escape(summary.run)}</a>'
    told = (
        summary.registration.project,
        summary.status,
        summary.last_step,
        sum(summary.incidents_open.values()),
    )
    return (link, *(escape(str(each)) for each in told))


def _incident_row(incident: Incident) -> tuple[str, ...]:
    end = "" if incident.end_step is None else incident.end_step
    steps = f"{incident.start_step} to {end}"
    told = (incident.id, incident.kind, incident.severity, steps, incident.state, incident.summary)
    return tuple(escape(each) for each in told)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; the cells are HTML already."""
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _links(paths: Iterable[str]) -> str:
    items = "".join(f'<li><a href="{escape(path)}">{escape(path)}</a></li>' for path in paths)
    return f"<ul>{items}</ul>"


def _page(title: str, body: str, again_s: int | None = None) -> HTMLResponse:
    """A page, that the browser asks for again after `again_s` seconds."""
    again = "" if again_s is None else f'<meta http-equiv="refresh" content="{again_s}">'
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8">{again}<title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )
