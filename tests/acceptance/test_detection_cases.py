"""Constructed cases with known truth: what must be told in time is told, and what is benign pages nobody."""

from __future__ import annotations

import pytest

from detection_bench.cases.catalogue import CASES, Case
from detection_bench.cases.judging import meets
from detection_bench.matching import match
from detection_bench.trimtab import replay
from trimtab_monitor.detectors import DetectorSettings

SEEDS = range(10)
"""Few, so that the tests stay quick; the benchmark runs more."""


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES if case.held_share])
def test_a_case_is_met(case: Case) -> None:
    missed = []
    for seed in SEEDS:
        curve = case.curve(seed)
        outcome = match(curve, replay(curve, DetectorSettings(), with_scores=False))
        if not meets(case, outcome):
            told = [found.told_delay for found in outcome.found]
            missed.append(f"seed {seed}: told after {told}, false alarms {outcome.false_alarms}")

    met = 1.0 - len(missed) / len(SEEDS)
    assert met >= case.held_share, f"{case.sentence} Expected within {case.max_delay}: {missed}"
