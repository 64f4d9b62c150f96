"""Events of the kinds that mean something here, checked before they are stored: none is lost silently."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args, get_type_hints

from trimtab.wire import WireError
from trimtab_monitor.folding.events import KINDS, Unreadable, read_event

_FIELD: Final = re.compile(r"\$\.(\w+)|required field `(\w+)`")
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`(.*?)(?:, got|$)")
_WORDS: Final = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "null": "null",
}


def check_events(events: Sequence[Mapping[str, Any]]) -> None:
    """Check the events of a batch; those of kinds that nobody here knows may hold anything.

    Raises:
        WireError: a field of one is missing or cannot be read; names it.
    """
    for index, raw in enumerate(events):
        event = read_event(raw)
        if isinstance(event, Unreadable):
            raise _error(index, raw, event.why)


def _error(index: int, raw: Mapping[str, Any], why: str) -> WireError:
    found = _FIELD.search(why)
    if found is None:
        return WireError(f"events[{index}]", raw, f"see docs/wire.md: {why}")
    name = found[1] or found[2]
    return WireError(f"events[{index}].{name}", raw.get(name), f"give {_wanted(raw['kind'], name, why)}")


def _wanted(kind: str, name: str, why: str) -> str:
    """What the field may hold, in words."""
    choices = get_args(get_type_hints(KINDS[kind])[name])
    if choices and all(isinstance(choice, str) for choice in choices):
        return " or ".join(choices)
    expected = _EXPECTED.search(why)
    if expected is None:
        return "this field: the event means nothing without it"
    types = " or ".join(_WORDS.get(each, each) for each in expected[1].split(" | "))
    return f"{types}{expected[2].split(' - at')[0]}"
