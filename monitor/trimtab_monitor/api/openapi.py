"""The OpenAPI document, with the one endpoint that FastAPI does not see: `POST /v1/runs/{run}/batches`."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from trimtab import wire

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
_ACK: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "ack": {"type": "integer", "description": "the seq of the batch"},
        "commands": {"type": "array", "items": {"type": "object"}},
    },
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
        "200": {"description": "It is durable.", "content": {wire.JSON: {"schema": _ACK}}},
        "default": {"description": "A problem (RFC 9457).", "content": {"application/problem+json": {}}},
    },
}


def describe(app: FastAPI) -> None:
    """Add it to the document that FastAPI makes."""
    of_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        document = of_fastapi()
        document["paths"]["/v1/runs/{run}/batches"] = {"post": _POST}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
