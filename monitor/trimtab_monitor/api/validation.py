"""A request that does not hold what it must, told as a problem: which field, what was given, what to give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi.exceptions import RequestValidationError

from trimtab_monitor.api.problems import Problem, invalid

_ONE_OBJECT: Final = "Send one JSON object in the body, with Content-Type: application/json."
_STARTS: Final = (
    ("Input should be greater", "Give a number greater"),
    ("Input should be less", "Give a number less"),
    ("Input should be ", "Give "),
    ("String should have ", "Give text of "),
)


def invalid_request(error: RequestValidationError) -> Problem:
    """The first thing that is wrong with a request."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        why = f"it is no JSON at character {first['loc'][-1]}: {first['ctx']['error']}"
        return invalid("body", error.body, why, _ONE_OBJECT)
    where = [str(part) for part in first["loc"][1:]]
    if not where:
        return invalid("body", error.body, first["msg"], _ONE_OBJECT)
    field = ".".join(where)
    missing = first["type"] == "missing"
    return invalid(field, None if missing else first.get("input"), _message(first), _remedy(field, first))


def _message(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _remedy(field: str, error: Mapping[str, Any]) -> str:
    """What to give instead: a sentence."""
    message = _message(error)
    if error["type"] == "missing":
        return f"Give {field}: it is required."
    if error["type"] == "extra_forbidden":
        return f"Leave {field} out, or correct its name."
    if error["type"] == "value_error":
        told = message.rpartition(": ")[2]  # ours end with what to do
        return f"{told[:1].upper()}{told[1:]}."
    for start, instead in _STARTS:
        if message.startswith(start):
            return f"{instead}{message.removeprefix(start).split(', unable')[0]}."
    return f"Correct {field}: {message[:1].lower()}{message[1:]}."
