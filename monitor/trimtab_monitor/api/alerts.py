"""`/v1/alerts`: what people were told, and taking it; `/v1/stream`: what happens, while it happens."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from trimtab.wire import INT64_MAX
from trimtab_alerts.alert import Alert
from trimtab_monitor.api.parts import Parts
from trimtab_monitor.api.problems import Problem
from trimtab_monitor.entries import AlertAcked, draft_of
from trimtab_monitor.json_out import JsonResponse

router: Final = APIRouter(prefix="/v1", tags=["alerts"], default_response_class=JsonResponse)

_STREAM_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@router.get("/alerts")
def alerts(parts: Parts, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000) -> JsonResponse:
    """The alerts of all runs, newest first."""
    return JsonResponse([alert.as_json() for alert in parts.views().alerts(limit)])


@router.post("/alerts/{alert_id}/ack")
def ack(alert_id: str, parts: Parts) -> JsonResponse:
    """Take an alert: whoever is told of it hears that somebody has. One that is taken already stays so."""
    alert = _alert(parts, alert_id)
    acked = AlertAcked(parts.intake.now(), alert.run, alert_id)
    parts.wait_for(parts.intake.append(draft_of(acked)))
    return JsonResponse(_alert(parts, alert_id).as_json())


def _alert(parts: Parts, alert_id: str) -> Alert:
    alert = parts.views().alert(alert_id)
    if alert is None:
        raise Problem(
            404,
            "unknown-alert",
            "Unknown alert",
            f"No alert {alert_id!r} is known here.",
            field="id",
            value=alert_id,
            remedy="Look its id up in GET /v1/alerts.",
        )
    return alert


@router.get("/stream", response_class=StreamingResponse)
async def stream(
    parts: Parts, run: str | None = None, rank: Annotated[int, Query(ge=0, le=INT64_MAX)] = 0
) -> StreamingResponse:
    """Server-sent events: sample (of one rank), incident, command, alert, run; of one run or of all."""
    return StreamingResponse(
        parts.hub.listen(run, rank), media_type="text/event-stream", headers=_STREAM_HEADERS
    )
