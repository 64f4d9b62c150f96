"""Gradient norms that climb: at once, early, and too slowly for any one step to stand out."""

from __future__ import annotations

import random
from collections.abc import Sequence

from trimtab_monitor.detectors.grad_explosion import GradExplosion
from trimtab_monitor.types import Finding, Sample


def told(norms: Sequence[float]) -> list[Finding]:
    detector, found = GradExplosion(), []
    for step, norm in enumerate(norms):
        finding = detector.update(Sample(step, float(step), {"grad_norm": norm}))
        if finding is not None:
            found.append(finding)
    return found


def usual(count: int, level: float = 1.0) -> list[float]:
    noise = random.Random(1)
    return [level * noise.lognormvariate(0, 0.1) for _ in range(count)]


def test_an_explosion_among_the_first_steps_is_told() -> None:
    found = told([*usual(14, 0.25), 0.95, 2.4, 16.0, 145.0, 960.0])
    assert found[-1].severity == "critical"
    assert found[-1].onset_step <= 15


def test_a_norm_that_warms_up_with_the_rate_is_not_told() -> None:
    assert told([0.5 * 1.12**step * norm for step, norm in enumerate(usual(20))] + usual(200, 4.5)) == []


def test_two_percent_a_step_is_told_in_the_end() -> None:
    climb = [1.02**step * norm for step, norm in enumerate(usual(700))]
    found = told([*usual(300), *climb])
    assert [finding.severity for finding in found if finding.severity != "info"] == ["warning", "critical"]


def test_one_large_step_after_another_large_one_that_was_over_is_a_mark() -> None:
    norms = [*usual(100), 30.0, 1.4, *usual(30)]
    assert {finding.severity for finding in told(norms)} == {"info"}
