"""The one vocabulary between a training job and the collector, in two encodings.

A `Batch` is columnar: one row a step, one column a metric. It travels as MessagePack (columns are the raw
little-endian bytes; what the hooks send) or as JSON (for people and other languages). Both are exact for NaN,
the infinities, "not measured" and 64-bit steps, and decode to the same value.

In memory a column is an `array.array`: no numpy in the job, and numpy reads it without a copy.
"""

from __future__ import annotations

from trimtab.decoding import decode
from trimtab.encoding import encode
from trimtab.vocabulary import (
    CHECKPOINT_SAVED,
    COMMAND_APPLIED,
    COMPONENTS,
    DEVICE_FLOAT_COLUMNS,
    EVAL_LOSS,
    GRAD_NORM,
    GRAD_NORM_SQ_SHARD,
    HOOK_ERROR,
    INT64_MAX,
    INT64_MIN,
    JSON,
    LOSS,
    LOSS_SCALE,
    LR,
    MAX_ATTEMPT,
    MSGPACK,
    NO_COUNTER,
    NOT_MEASURED,
    OWN_SECONDS,
    PARAM_NORM,
    PHASE,
    RUN_END,
    RUN_START,
    SAMPLES_DROPPED,
    STEP_SECONDS,
    TOKENS,
    Ack,
    Batch,
    Command,
    Component,
    Device,
    WireError,
    is_measured,
)

__all__ = [
    "CHECKPOINT_SAVED",
    "COMMAND_APPLIED",
    "COMPONENTS",
    "DEVICE_FLOAT_COLUMNS",
    "EVAL_LOSS",
    "GRAD_NORM",
    "GRAD_NORM_SQ_SHARD",
    "HOOK_ERROR",
    "INT64_MAX",
    "INT64_MIN",
    "JSON",
    "LOSS",
    "LOSS_SCALE",
    "LR",
    "MAX_ATTEMPT",
    "MSGPACK",
    "NOT_MEASURED",
    "NO_COUNTER",
    "OWN_SECONDS",
    "PARAM_NORM",
    "PHASE",
    "RUN_END",
    "RUN_START",
    "SAMPLES_DROPPED",
    "STEP_SECONDS",
    "TOKENS",
    "Ack",
    "Batch",
    "Command",
    "Component",
    "Device",
    "WireError",
    "decode",
    "encode",
    "is_measured",
]
