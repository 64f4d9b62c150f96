"""`/` and `/runs/{run}`: plain pages that lead to everything there is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from trimtab_monitor.api.parts import Parts
from trimtab_monitor.summary import RunSummary
from trimtab_monitor.types import Incident

router: Final = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}"
    "td,th{text-align:left;padding:.2rem 1rem .2rem 0}"
)


@router.get("/")
def home(parts: Parts) -> HTMLResponse:
    """The runs, newest first."""
    rows = [_run_row(summary) for summary in parts.views().summaries(limit=1000)]
    table = _table(("run", "project", "status", "step", "open incidents"), rows)
    links = _links(("/v1/runs", "/v1/alerts", "/metrics", "/docs"))
    return _page("Trimtab", f"{table if rows else '<p>No run yet.</p>'}{links}")


@router.get("/runs/{run}")
def run_page(run: str, parts: Parts) -> HTMLResponse:
    """One run."""
    summary = parts.summary(run)
    incidents = [_incident_row(incident) for incident in parts.store.views.incidents(run)]
    told = f"<p>{escape(summary.status)}, step {summary.last_step}, attempt {summary.attempt}</p>"
    table = _table(("id", "kind", "severity", "steps", "state", "summary"), incidents)
    base = f"/v1/runs/{run}"
    series = [f"{base}/series?metric={metric}" for metric in sorted(summary.latest)]
    links = _links([base, f"{base}/incidents", f"{base}/ledger", f"{base}/commands", *series])
    return _page(run, f"{told}{table if incidents else '<p>No incidents.</p>'}{links}")


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


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )
