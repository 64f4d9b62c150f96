"""The ranks that an incident of slow ranks names."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab_monitor.kind_text import what
from trimtab_monitor.testing.incidents import a_finding, an_incident


def sentence(seen: dict[str, Any], told: tuple[int, ...] = ()) -> str:
    more = {"rank": 7, "factor": 1.667, "compared": 16, "since_step": 64}
    incident = an_incident("straggler", "step_seconds", value=1.5, baseline=0.9, seen=more | seen)
    if told:
        findings = [a_finding("straggler", "step_seconds", 100) | {"rank": rank} for rank in told]
        incident.evidence["findings"] = findings
    return what(incident)


@pytest.mark.parametrize(
    ("seen", "told", "ranks"),
    [
        ({"slow_ranks": [7], "slow": 1}, (7,), "rank 7 takes 1.7 times"),
        ({"slow_ranks": [7, 3, 9], "slow": 3}, (7,), "ranks 3, 7, 9 take up to 1.7 times"),
        ({"slow_ranks": [7, 3], "slow": 2}, (7, 12), "ranks 3, 7, 12 take up to 1.7 times"),
        (
            {"slow_ranks": [7, 9, 8, 6, 5, 4, 2, 1], "slow": 12},
            (7,),
            "ranks 1, 2, 4, 5, 6, 7, 8, 9 and 4 more take up to 1.7 times",
        ),
    ],
)
def test_all_slow_ranks_are_named_and_since_when(
    seen: dict[str, Any], told: tuple[int, ...], ranks: str
) -> None:
    rest = " as long as the median of 16 ranks, since step 64: 1.50 s a step, not 0.9 s"
    assert sentence(seen, told) == ranks + rest


def test_a_finding_that_tells_little_makes_a_sentence_all_the_same() -> None:
    incident = an_incident("straggler", "step_seconds", value=1.5, baseline=0.9)
    assert what(incident).startswith("rank 0 takes 1.7 times as long as the other ranks, since step 100")
