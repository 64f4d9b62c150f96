"""Tells what was measured: a table for people, a JSON line a detector for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from detection_bench.running import Judged

WIDTH_IN_FILES = 170
MAJOR_KINDS = ("spike", "divergence", "level_shift", "nan")


def rounded(value: float | None, digits: int = 3) -> float | None:
    """Round for print; what is undefined is null."""
    return None if value is None or value != value else round(value, digits)


def as_json(judged: Judged) -> dict[str, Any]:
    """All figures of one detector."""
    score = judged.score
    return {
        "benchmark": "detection",
        "detector": judged.name,
        "f1": rounded(score.f1),
        "precision": rounded(score.precision),
        "recall": rounded(score.recall),
        "events": score.wanted.events,
        "found": score.wanted.found,
        "false_alarms": score.false_alarms,
        "false_alarms_per_1000": rounded(score.false_alarms_per_1000),
        "delay_median": rounded(score.wanted.delay_median),
        "delay_p90": rounded(score.wanted.delay_p90),
        "told_delay_median": rounded(score.told_delay_median),
        "roc_auc": rounded(judged.roc_auc),
        "roc_auc_onset": rounded(judged.roc_auc_onset),
        "by_kind": {name: share.as_json() for name, share in score.by_kind.items()},
        "false_by_kind": score.false_by_kind,
        "by_source": {
            name: dict(zip(("found", "events", "false_alarms"), counts, strict=True))
            for name, counts in score.by_source.items()
        },
    }


def print_json(lines: Sequence[dict[str, Any]]) -> None:
    """One line each, on standard output."""
    for line in lines:
        print(json.dumps(line), flush=True)


def detector_table(judged: Sequence[Judged]) -> Table:
    """All detectors, the best F1 first."""
    table = Table(title="Events found, of those labelled major and certain; delays in samples from the onset")
    for name in (
        "detector",
        "F1",
        "precision",
        "recall",
        "false/1,000",
        "delay",
        "p90",
        "told",
        "ROC-AUC",
        "at onset",
    ):
        table.add_column(name, justify="left" if name == "detector" else "right")
    for kind in MAJOR_KINDS:
        table.add_column(kind, justify="right")
    for each in sorted(judged, key=lambda each: -each.score.f1):
        score = each.score
        figures = (
            *(score.f1, score.precision, score.recall, score.false_alarms_per_1000),
            *(score.wanted.delay_median, score.wanted.delay_p90, score.told_delay_median),
            *(each.roc_auc, each.roc_auc_onset),
        )
        shares = [score.by_kind.get(f"{kind} major") for kind in MAJOR_KINDS]
        found = [f"{share.found}/{share.events}" if share else "" for share in shares]
        table.add_row(each.name, *(cell(figure) for figure in figures), *found)
    return table


def cell(value: float | None) -> str:
    """A figure in a table; a dash where it is undefined."""
    if value is None or value != value:
        return "-"
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.3f}".rstrip("0")


def tables(*made: Table) -> None:
    """Print tables on standard error, so that standard output holds JSON lines only."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH_IN_FILES)
    for table in made:
        console.print(table)


def misses(judged: Judged) -> Table:
    """What one detector missed and where it alarmed without cause: the curves to look at."""
    table = Table(title=f"{judged.name}: missed and false")
    for name in ("curve", "what", "kind", "row"):
        table.add_column(name, justify="right" if name == "row" else "left", overflow="fold")
    for outcome in judged.outcomes:
        for found in outcome.found:
            if found.event.must_be_found and found.alarm is None:
                marked = "missed, marked" if found.marked else "missed"
                table.add_row(outcome.curve, marked, found.event.kind, str(found.event.start))
        for alarm in outcome.false_alarms:
            table.add_row(outcome.curve, f"false, {alarm.severity}", alarm.kind, str(alarm.row))
    return table
