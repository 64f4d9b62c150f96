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
    began=_or_null(_REAL),
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

_BUDGET_LINE: Final = _object(
    name=_TEXT,
    quantity={"type": "string", "enum": ["kwh", "kg", "cost"]},
    project=_or_null(_TEXT),
    phase=_or_null(_TEXT),
    unit=_TEXT,
    limit=_REAL,
    spent=_or_null(_REAL),
    spent_at_most=_or_null(_REAL),
    ratio=_or_null(_REAL),
    stop={"type": "boolean"},
    note=_or_null(_TEXT),
)
_USED: Final = _object(
    runs=_WHOLE, kwh=_or_null(_REAL), kg=_or_null(_REAL), cost=_or_null(_REAL), lost_steps=_WHOLE
)
ACK: Final = _object(
    ack={"type": "integer", "description": "the seq of the batch"}, commands=_list(ref("Command"))
)
_AMOUNT: Final = _object(amount=_or_null(_REAL), currency=_TEXT)
_HOURS: Final = _list(_object(time=_REAL, joules=_REAL))
_PRICED_BY: Final = _object(
    source=_TEXT,
    place=_or_null(_TEXT),
    basis=_or_null(_TEXT),
    year=_or_null(_WHOLE),
    attribution=_or_null(_TEXT),
    kwh=_REAL,
    estimated_kwh=_REAL,
    grams=_REAL,
)
_LIVE: Final = _object(
    provider=_TEXT,
    zone=_TEXT,
    signal={"type": "string", "enum": ["average", "marginal"]},
    basis=_TEXT,
    attribution=_TEXT,
    hours=_list(_object(time=_WHOLE, g_per_kwh=_REAL, is_estimated={"type": "boolean"})),
    state=_or_null(
        _object(
            last_success=_or_null(_REAL),
            last_error=_or_null(_TEXT),
            last_error_time=_or_null(_REAL),
            errors=_WHOLE,
        )
    ),
)
_BILL: Final[Mapping[str, Schema]] = {
    "facility_joules": _or_null(_REAL),
    "emissions_g": _object(location=_or_null(_REAL), market=_or_null(_REAL)),
    "marginal_g": _or_null(_REAL),
    "embodied_g": _or_null(_REAL),
    "water_l": _or_null(_REAL),
    "gpu_hours": _or_null(_REAL),
    "cost": {**_or_null(_REAL), "description": "in `currency`: of the parts that are in it"},
    "cost_parts": _object(electricity=_AMOUNT, gpu_hours=_AMOUNT),
    "currency": _TEXT,
}
_FACTORS: Final = _object(
    pue=_object(value=_REAL, is_set={"type": "boolean"}, source=_TEXT),
    location=_object(
        g_per_kwh=_or_null(_REAL),
        source=_or_null(_TEXT),
        mean_g_per_kwh=_or_null(_REAL),
        priced_by=_list(_PRICED_BY),
        unpriced_kwh=_REAL,
    ),
    market=_object(g_per_kwh=_or_null(_REAL), source=_or_null(_TEXT), share=_REAL, rest=_or_null(_OBJECT)),
    marginal=_or_null(_OBJECT),
    water=_OBJECT,
    embodied=_OBJECT,
    price=_object(per_kwh=_or_null(_REAL), currency=_TEXT, source=_or_null(_TEXT)),
    gpu_hour=_object(price=_or_null(_REAL), currency=_TEXT),
    live=_list(_LIVE),
)
_LEDGER: Final = _object(
    energy=_object(joules=_or_null(_REAL), gap_seconds=_REAL, by=_list(_OBJECT), by_hour=_HOURS),
    **_BILL,
    sci=_or_null(_object(g_per_run=_REAL, g_per_step=_or_null(_REAL), g_per_token=_or_null(_REAL))),
    lost_work=_object(
        steps=_WHOLE,
        seconds=_REAL,
        joules=_or_null(_REAL),
        by_hour=_HOURS,
        by_cause=_list(_OBJECT),
        **_BILL,
    ),
    work=_or_null(_object(steps=_WHOLE, tokens=_or_null(_WHOLE))),
    factors=_FACTORS,
    settings={"type": "object", "description": "those that were given, without secrets"},
    notes=_list(_TEXT),
    forecast=_OBJECT,
    budget=_object(lines=_list(_BUDGET_LINE)),
)
_PROJECT: Final = _object(
    project=_TEXT,
    runs=_WHOLE,
    currency=_TEXT,
    total=_USED,
    phases={"type": "object", "additionalProperties": _USED},
    budget=_object(lines=_list(_BUDGET_LINE)),
)

ANSWERS: Final[Mapping[tuple[str, str], tuple[str, Schema]]] = {
    ("post", "/v1/runs"): ("application/json", _object(run=_TEXT, url=_TEXT)),
    ("get", "/v1/runs"): ("application/json", _list(ref("Run"))),
    ("get", "/v1/runs/{run}"): ("application/json", ref("Run")),
    ("get", "/v1/runs/{run}/series"): ("application/json", ref("Series")),
    ("get", "/v1/runs/{run}/incidents"): ("application/json", _list(ref("Incident"))),
    ("get", "/v1/runs/{run}/ledger"): ("application/json", _LEDGER),
    ("get", "/v1/projects/{project}"): ("application/json", _PROJECT),
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
