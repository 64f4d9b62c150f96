"""Tells what cross-validation found, beside what is shipped and what would have been best in hindsight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from detection_bench.report import cell, rounded
from detection_bench.scoring import Score, score
from detection_bench.validation.cross import ByPoint, Fold, best, pooled
from detection_bench.validation.grid import Point, told

Ways = Mapping[str, Sequence[Fold]]


def ways_scored(points: Sequence[Point], by_point: ByPoint, ways: Ways) -> dict[str, tuple[Score, str]]:
    """Each way of choosing settings: its score on all curves, and what it chose."""
    scores = [score(outcomes) for outcomes in by_point]
    top = best(scores)
    found = {"as shipped": (scores[0], ""), "best in hindsight": (scores[top], told(points[top]))}
    for name, folds in ways.items():
        chosen = len({fold.chosen for fold in folds})
        told_of = f"{chosen} settings in {len(folds)} folds, {_eventless(folds)} without an event"
        found[name] = (pooled(folds), told_of)
    return found


def _eventless(folds: Sequence[Fold]) -> int:
    """How many folds hold nothing that must be found: they can only show false alarms."""
    return sum(not score(fold.outcomes).wanted.events for fold in folds)


def as_json(name: str, figures: Score) -> dict[str, Any]:
    """A JSON line for one way of choosing."""
    return {
        "benchmark": "detection cross-validation",
        "detector": "trimtab",
        "settings": name,
        "f1": rounded(figures.f1),
        "precision": rounded(figures.precision),
        "recall": rounded(figures.recall),
        "false_alarms_per_1000": rounded(figures.false_alarms_per_1000),
        "delay_median": rounded(figures.wanted.delay_median),
        "delay_p90": rounded(figures.wanted.delay_p90),
    }


def ways_table(scored: Mapping[str, tuple[Score, str]]) -> Table:
    """All ways of choosing, one a row."""
    table = Table(title="Trimtab's settings, chosen in several ways, on all curves")
    for name in ("settings", "F1", "precision", "recall", "false/1,000", "delay", "p90", "what was chosen"):
        table.add_column(name, justify="left" if name in ("settings", "what was chosen") else "right")
    for name, (figures, chosen) in scored.items():
        shown = (
            *(figures.f1, figures.precision, figures.recall, figures.false_alarms_per_1000),
            *(figures.wanted.delay_median, figures.wanted.delay_p90),
        )
        table.add_row(name, *(cell(figure) for figure in shown), chosen)
    return table


def points_table(points: Sequence[Point], by_point: ByPoint) -> Table:
    """How each point of the grid does on all curves."""
    table = Table(title="Every point of the grid, on all curves")
    for name in ("point", "F1", "precision", "recall", "false/1,000"):
        table.add_column(name, justify="left" if name == "point" else "right")
    for point, outcomes in zip(points, by_point, strict=True):
        figures = score(outcomes)
        shown = (figures.f1, figures.precision, figures.recall, figures.false_alarms_per_1000)
        table.add_row(told(point), *(cell(figure) for figure in shown))
    return table


def folds_table(name: str, points: Sequence[Point], folds: Sequence[Fold]) -> Table:
    """What was chosen without each fold, and how it did there."""
    table = Table(title=f"{name}: what was chosen without each fold, and how it did there")
    for column in ("held out", "curves", "events", "found", "false", "chosen on the others"):
        table.add_column(
            column, justify="left" if column in ("held out", "chosen on the others") else "right"
        )
    calm = 0
    for fold in folds:
        figures = score(fold.outcomes)
        if not figures.wanted.events and not figures.false_alarms:
            calm += 1
            continue
        counts = (fold.curves, figures.wanted.events, figures.wanted.found, figures.false_alarms)
        table.add_row(fold.name, *map(str, counts), told(points[fold.chosen]))
    table.caption = f"{calm} more folds hold no event, and had no false alarm"
    return table
