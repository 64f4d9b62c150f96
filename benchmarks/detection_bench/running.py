"""Runs detectors over curves, two processes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

from detection_bench.curves import Curve
from detection_bench.matching import Outcome, match
from detection_bench.peers import PEERS
from detection_bench.scoring import ONSET_ROWS, Score, roc_auc, score
from detection_bench.trimtab import trimtab
from detection_bench.verdict import Detector
from trimtab_monitor.detectors import DetectorSettings

PROCESSES = 2
OURS = "trimtab"

Job = TypeVar("Job")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Judged:
    """A detector, its outcomes by curve, their pooled score and the area under its ROC curve.

    `roc_auc` takes all rows in events for anomalous, `roc_auc_onset` only the first few of each. None: it
    gives no scores.
    """

    name: str
    outcomes: Sequence[Outcome]
    score: Score
    roc_auc: float | None
    roc_auc_onset: float | None


def detector_named(name: str) -> Detector:
    """Find a detector; `trimtab` has the settings that it ships."""
    return trimtab(DetectorSettings()) if name == OURS else PEERS[name]


def judge(name: str, detector: Detector, curves: Sequence[Curve]) -> Judged:
    """Run one detector over all curves and score it."""
    verdicts = [detector(curve) for curve in curves]
    outcomes = [match(curve, verdict) for curve, verdict in zip(curves, verdicts, strict=True)]
    scored = [
        (curve, said.scores) for curve, said in zip(curves, verdicts, strict=True) if said.scores is not None
    ]
    areas: list[float | None] = [None, None]
    if scored:
        known, scores = zip(*scored, strict=True)
        areas = [roc_auc(known, scores), roc_auc(known, scores, at_most=ONSET_ROWS)]
    return Judged(name, outcomes, score(outcomes), areas[0], areas[1])


_curves: Sequence[Curve] = ()


def _begin(curves: Sequence[Curve]) -> None:
    global _curves
    _curves = curves


def _call(work: Callable[[Job, Sequence[Curve]], Done], job: Job) -> Done:
    return work(job, _curves)


def in_parallel(
    work: Callable[[Job, Sequence[Curve]], Done], jobs: Iterable[Job], curves: Sequence[Curve]
) -> list[Done]:
    """Do each job with the curves, which travel to each process once; results in the jobs' order."""
    jobs = list(jobs)
    with ProcessPoolExecutor(
        PROCESSES, mp_context=get_context("spawn"), initializer=_begin, initargs=(curves,)
    ) as pool:
        return [future.result() for future in [pool.submit(_call, work, job) for job in jobs]]


def judge_named(name: str, curves: Sequence[Curve]) -> Judged:
    """Judge a detector by its name, as a job for another process."""
    return judge(name, detector_named(name), curves)
