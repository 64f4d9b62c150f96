"""Events that the intake refuses, and what it says of them."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.wire import WireError
from trimtab_monitor.intake.event_check import check_events

GOOD = {"kind": "phase", "phase": "eval", "time": 1.0}


@pytest.mark.parametrize(
    ("event", "field", "remedy"),
    [
        ({"kind": "run_end", "status": "exploded"}, "status", "give finished or failed"),
        ({"kind": "run_end", "status": 7}, "status", "give finished or failed"),
        ({"kind": "run_end", "reason": 7}, "reason", "give a string or null"),
        ({"kind": "checkpoint_saved"}, "step", "give this field: the event means nothing without it"),
        ({"kind": "checkpoint_saved", "step": None}, "step", "give an integer"),
        ({"kind": "checkpoint_saved", "step": 1, "where": "moon"}, "where", "give memory or disk"),
        ({"kind": "checkpoint_saved", "step": 1, "finite": "yes"}, "finite", "give true or false or null"),
        ({"kind": "command_applied"}, "command", "give this field: the event means nothing without it"),
        ({"kind": "samples_dropped", "count": "many"}, "count", "give an integer"),
        ({"kind": "samples_dropped", "count": -1}, "count", "give an integer >= 0"),
        ({"kind": "run_start", "rollback": "always"}, "rollback", "give off or advise or auto"),
    ],
)
def test_the_field_is_named(event: dict[str, Any], field: str, remedy: str) -> None:
    with pytest.raises(WireError) as caught:
        check_events([GOOD, {**event, "time": 1.0}])
    assert (caught.value.field, caught.value.remedy) == (f"events[1].{field}", remedy)


def test_an_unknown_kind_may_hold_anything() -> None:
    check_events([GOOD, {"kind": "coffee", "time": 1.0, "status": 3, "count": "many"}])
