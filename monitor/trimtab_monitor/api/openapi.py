"""The OpenAPI document: what FastAPI finds, what is really answered, and the endpoint that it does not see.

That one is `POST /v1/runs/{run}/batches`. The page at `/docs` loads its scripts from a public host (a CDN);
the document itself, `/openapi.json`, needs none.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from fastapi import FastAPI

from trimtab import wire
from trimtab_monitor.api.problems import MEDIA_TYPE
from trimtab_monitor.api.schemas import ACK, ANSWERS, Schema, components, ref

_BATCH: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["rank", "seq", "step", "time"],
    "properties": {
        "rank": {"type": "integer"},
        "seq": {"type": "integer"},
        "attempt": {"type": "integer", "default": 0},
        "step": {"type": "array", "items": {"type": "integer"}},
        "time": {"type": "array", "items": {"type": "number"}, "description": "Unix seconds"},
        "metrics": {
            "type": "object",
            "description": 'a column a metric: numbers, null, "NaN", "Infinity", "-Infinity"',
            "additionalProperties": {"type": "array", "items": {"type": ["number", "null", "string"]}},
        },
        "devices": {"type": "array", "items": {"type": "object"}},
        "events": {"type": "array", "items": {"type": "object"}},
    },
}
_PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem (RFC 9457).",
    "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
}
_POST: Final[dict[str, Any]] = {
    "tags": ["runs"],
    "summary": "One batch, answered once it is durable",
    "parameters": [{"name": "run", "in": "path", "required": True, "schema": {"type": "string"}}],
    "requestBody": {
        "required": True,
        "content": {
            wire.JSON: {"schema": _BATCH},
            wire.MSGPACK: {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "responses": {
        "200": {"description": "It is durable.", "content": {wire.JSON: {"schema": ACK}}},
        "default": _PROBLEM,
    },
}


def describe(app: FastAPI) -> None:
    """Add it to the document that FastAPI makes."""
    of_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        document = deepcopy(of_fastapi())  # which keeps what it made
        document["components"]["schemas"] |= components()
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        for path, calls in document["paths"].items():
            for method, call in calls.items():
                _tell_answers(call["responses"], *ANSWERS[method, path])
        return {**document, "paths": {**document["paths"], "/v1/runs/{run}/batches": {"post": _POST}}}

    app.openapi = openapi  # type: ignore[method-assign]


def _tell_answers(responses: dict[str, Any], media_type: str, schema: Schema) -> None:
    """Say what is sent when it goes well; all else is a problem."""
    responses.pop("422", None)
    for answer in responses.values():
        answer["content"] = {media_type: {"schema": schema}}
    responses["default"] = _PROBLEM
