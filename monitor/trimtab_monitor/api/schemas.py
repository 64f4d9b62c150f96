"""What the answers look like, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trimtab.wire import Command
from trimtab_alerts.alert import Alert

Schema = Mapping[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_REAL: Final[Schema] = {"type": "number"}
_OBJECT: Final[Schema] = {"type": "object"}
_VALUE: Final[Schema] = {
    "type": ["number", "string"],
    "description": 'a number, "NaN", "Infinity", "-Infinity"',
}
_REF: Final = "#/components/schemas/{name}"


def _object(optional: Mapping[str, Schema] | None = None, **required: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": _REF.format(name=name)}


def components() -> dict[str, Schema]:
    """The named schemas."""
    _, made = msgspec.json.schema_components([Command, Alert], ref_template=_REF)
    return {**made, "Problem": _PROBLEM, "Run": _RUN, "Series": _SERIES, "Incident": _INCIDENT}


_PROBLEM: Final = _object(
    {"field": _TEXT, "value": {"description": "as it was given"}, "remedy": _TEXT},
    type=_TEXT,
    title=_TEXT,
    status=_WHOLE,
    detail=_TEXT,
)
_RUN: Final = _object(
    run=_TEXT,
    project=_TEXT,
    status={"type": "string", "enum": ["running", "hung", "failed", "finished"]},
    reason=_TEXT,
    attempt=_WHOLE,
    last_step=_WHOLE,
    last_sample=_or_null(_REAL),
    heard=_REAL,
    metrics=_list(_TEXT),
    metrics_left_out=_WHOLE,
    latest={"type": "object", "additionalProperties": _VALUE},
    incidents_open=_WHOLE,
    ledger=_object(joules=_or_null(_REAL), gap_seconds=_REAL, lost_steps=_WHOLE, lost_seconds=_REAL),
)
_SERIES: Final = _object(
    metric=_TEXT, step=_list(_WHOLE), time=_list(_REAL), value=_list(_VALUE), attempt=_list(_WHOLE)
)
_INCIDENT: Final = _object(
    id=_TEXT,
    kind=_TEXT,
    severity={"type": "string", "enum": ["info", "warning", "critical"]},
    metric=_TEXT,
    start_step=_WHOLE,
    detected_step=_WHOLE,
    peak_step=_WHOLE,
    end_step=_or_null(_WHOLE),
    state={"type": "string", "enum": ["open", "resolved"]},
    summary=_TEXT,
    evidence=_OBJECT,
)

ACK: Final = _object(
    ack={"type": "integer", "description": "the seq of the batch"}, commands=_list(ref("Command"))
)
_LEDGER: Final = _object(energy=_OBJECT, emissions_g=_OBJECT, cost={}, lost_work=_OBJECT, factors=_OBJECT)

ANSWERS: Final[Mapping[tuple[str, str], tuple[str, Schema]]] = {
    ("post", "/v1/runs"): ("application/json", _object(run=_TEXT, url=_TEXT)),
    ("get", "/v1/runs"): ("application/json", _list(ref("Run"))),
    ("get", "/v1/runs/{run}"): ("application/json", ref("Run")),
    ("get", "/v1/runs/{run}/series"): ("application/json", ref("Series")),
    ("get", "/v1/runs/{run}/incidents"): ("application/json", _list(ref("Incident"))),
    ("get", "/v1/runs/{run}/ledger"): ("application/json", _LEDGER),
    ("get", "/v1/runs/{run}/commands"): ("application/json", _list(ref("Command"))),
    ("post", "/v1/runs/{run}/commands"): ("application/json", ref("Command")),
    ("get", "/v1/alerts"): ("application/json", _list(ref("Alert"))),
    ("post", "/v1/alerts/{alert_id}/ack"): ("application/json", ref("Alert")),
    ("get", "/v1/stream"): ("text/event-stream", _TEXT),
    ("get", "/metrics"): ("text/plain", _TEXT),
    ("get", "/healthz"): ("application/json", _object(status=_TEXT)),
    ("get", "/readyz"): ("application/json", _object(status=_TEXT, log=_WHOLE, folded=_WHOLE)),
}
"""What is answered to each call when it goes well: media type and schema."""
