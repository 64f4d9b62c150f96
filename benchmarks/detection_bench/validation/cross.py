"""Chooses settings on all folds but one, and judges them on that one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from detection_bench.curves import Curve
from detection_bench.matching import Outcome, match
from detection_bench.scoring import Score, score
from detection_bench.trimtab import replay
from detection_bench.validation.folds import FoldOf
from detection_bench.validation.grid import Point, settings_at

MOST_FALSE_PER_1000: Final = 0.1
"""Settings that alarm falsely more often are not chosen while others do not."""

AS_GOOD: Final = 0.02
"""Two values of F1 that differ by less say nothing, with so few events: the calmer settings are better."""

ByPoint = Sequence[Sequence[Outcome]]
"""The outcome of each point on each curve, in the order of the points and of the curves."""


@dataclass(frozen=True)
class Fold:
    """Curves held out together: what was chosen without them, and how that did on them."""

    name: str
    curves: int
    chosen: int
    outcomes: Sequence[Outcome]


def outcomes_at(point: Point, curves: Sequence[Curve]) -> list[Outcome]:
    """Run Trimtab with a point's settings over all curves, as a job for another process."""
    settings = settings_at(point)
    return [match(curve, replay(curve, settings, with_scores=False)) for curve in curves]


def best(scores: Sequence[Score]) -> int:
    """The calmest of the points whose F1 is as good as the highest, among those that are silent enough."""
    silent = [at for at, each in enumerate(scores) if each.false_alarms_per_1000 <= MOST_FALSE_PER_1000]
    among = silent or list(range(len(scores)))
    highest = max(scores[at].f1 for at in among)
    good = [at for at in among if scores[at].f1 >= highest - AS_GOOD]
    return max(good, key=lambda at: (scores[at].precision, scores[at].f1))


def cross_validate(curves: Sequence[Curve], by_point: ByPoint, fold_of: FoldOf) -> list[Fold]:
    """Hold out each fold once."""
    names = [fold_of(curve) for curve in curves]
    folds = []
    for held_out in sorted(set(names)):
        inside = [at for at, name in enumerate(names) if name == held_out]
        others = [at for at, name in enumerate(names) if name != held_out]
        chosen = best([score(outcomes[at] for at in others) for outcomes in by_point])
        folds.append(Fold(held_out, len(inside), chosen, [by_point[chosen][at] for at in inside]))
    return folds


def pooled(folds: Sequence[Fold]) -> Score:
    """The score over all curves, each judged with settings that were chosen without it."""
    return score(outcome for fold in folds for outcome in fold.outcomes)
