"""How a detector does on a constructed case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detection_bench.cases.catalogue import CASES, Case
from detection_bench.curves import Curve
from detection_bench.matching import Outcome, match
from detection_bench.running import OURS, detector_named, in_parallel
from detection_bench.scoring import delay_figures
from detection_bench.trimtab import replay
from detection_bench.verdict import Detector
from trimtab_monitor.detectors import DetectorSettings


@dataclass(frozen=True)
class CaseResult:
    """One detector on one case, over all seeds. `met` counts the seeds in which it did what is expected."""

    case: Case
    detector: str
    seeds: int
    met: int
    delays: Sequence[int]
    false_alarms: int
    rows: int

    @property
    def false_alarms_per_1000(self) -> float:
        """Of all samples of the case."""
        return 1000 * self.false_alarms / self.rows

    def as_json(self) -> dict[str, Any]:
        """A JSON line."""
        median, p90 = delay_figures(self.delays)
        known = bool(self.delays)
        return {
            "benchmark": "detection cases",
            "case": self.case.name,
            "detector": self.detector,
            "expected_delay": self.case.max_delay,
            "seeds": self.seeds,
            "met": self.met,
            "found": len(self.delays),
            "delay_median": median if known else None,
            "delay_p90": p90 if known else None,
            "delay_max": max(self.delays, default=None),
            "false_alarms": self.false_alarms,
            "false_alarms_per_1000": round(self.false_alarms_per_1000, 3),
        }


def meets(case: Case, outcome: Outcome) -> bool:
    """Whether a detector did what is expected: told of the event in time, or of nothing."""
    if case.max_delay is None:
        return not outcome.false_alarms
    told = [found.told_delay for found in outcome.found]
    return all(delay is not None and delay <= case.max_delay for delay in told)


def judge_case(case: Case, name: str, detector: Detector, seeds: int) -> CaseResult:
    """Run a detector over the case of each seed."""
    curves = [case.curve(seed) for seed in range(seeds)]
    outcomes = [match(curve, detector(curve)) for curve in curves]
    told = [found.told_delay for outcome in outcomes for found in outcome.found]
    return CaseResult(
        case=case,
        detector=name,
        seeds=seeds,
        met=sum(meets(case, outcome) for outcome in outcomes),
        delays=sorted(delay for delay in told if delay is not None),
        false_alarms=sum(len(outcome.false_alarms) for outcome in outcomes),
        rows=sum(curve.rows for curve in curves),
    )


def judge_cases(job: tuple[str, int], curves: Sequence[Curve] = ()) -> list[CaseResult]:
    """Judge one detector on all cases, as a job for another process; `curves` are not used."""
    del curves
    name, seeds = job
    detector = _ours if name == OURS else detector_named(name)
    return [judge_case(case, name, detector, seeds) for case in CASES]


def _ours(curve: Curve) -> Any:
    return replay(curve, DetectorSettings(), with_scores=False)


def judge_all(names: Sequence[str], seeds: int) -> list[list[CaseResult]]:
    """Judge detectors on all cases."""
    return in_parallel(judge_cases, [(name, seeds) for name in names], ())
