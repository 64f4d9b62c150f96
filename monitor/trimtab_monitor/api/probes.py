"""`/metrics`, `/healthz`, `/readyz`: for the machines that look after the collector."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from trimtab_monitor.api.parts import Parts
from trimtab_monitor.api.problems import RETRY_AFTER_S, Problem
from trimtab_monitor.json_out import JsonResponse

router: Final = APIRouter(tags=["probes"], default_response_class=JsonResponse)


@router.get("/metrics")
def metrics(request: Request, parts: Parts) -> Response:
    """What Prometheus scrapes."""
    body, content_type = parts.exposition.write(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})


@router.get("/healthz")
async def healthz() -> JsonResponse:
    """It is alive."""
    return JsonResponse({"status": "ok"})


@router.get("/readyz")
def readyz(parts: Parts) -> JsonResponse:
    """It can take batches; else a problem that says why not."""
    failure = parts.store.failure()
    if failure is None and not parts.engine.is_alive():
        failure = "the fold has stopped"
    if failure is not None:
        raise Problem(
            503,
            "not-ready",
            "Not ready",
            f"The collector cannot take batches: {failure}.",
            remedy="Make room on its disk, or look into its log.",
            retry_after_s=RETRY_AFTER_S,
        )
    return JsonResponse(
        {"status": "ready", "log": parts.store.log.end(), "folded": parts.engine.progress.position}
    )
