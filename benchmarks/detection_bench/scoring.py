"""Figures in the field's words, pooled over the outcomes of many curves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from statistics import median

import numpy as np
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from detection_bench.curves import Curve, Values
from detection_bench.matching import EARLY_ROWS, LATE_ROWS, Found, Outcome

ONSET_ROWS = 5
"""In a level that stays up for thousands of rows, these are the rows that should stand out."""

SCORE_LIMIT = 1e6
"""Scores are cut here: a non-finite loss is infinitely anomalous, and a rank needs no more."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many events, how many of them had an alarm, how many an alarm or a mark, and how late."""

    events: int
    found: int
    marked: int
    delay_median: float
    delay_p90: float

    @classmethod
    def of(cls, events: Sequence[Found]) -> Share:
        """Count these events."""
        delays = sorted(event.delay for event in events if event.delay is not None)
        marked = sum(event.marked for event in events)
        return cls(len(events), len(delays), marked, *delay_figures(delays))

    def as_json(self) -> dict[str, float | None]:
        """The shape in which a JSON line tells it."""
        median_, p90 = (None if value != value else value for value in (self.delay_median, self.delay_p90))
        return {
            "events": self.events,
            "found": self.found,
            "marked": self.marked,
            "delay_median": median_,
            "delay_p90": p90,
        }


def delay_figures(delays: Sequence[int]) -> tuple[float, float]:
    """Median and 90th percentile of sorted delays; NaN of none."""
    if not delays:
        return nan, nan
    return float(median(delays)), float(delays[int(0.9 * len(delays))])


@dataclass(frozen=True)
class Score:
    """How a detector did on many curves. Undefined figures are NaN, but precision of no alarms is 0."""

    wanted: Share
    told_delay_median: float
    false_alarms: int
    false_alarms_per_1000: float
    by_kind: dict[str, Share]
    false_by_kind: dict[str, int]
    by_source: dict[str, tuple[int, int, int]]

    @property
    def precision(self) -> float:
        """Events found / (events found + false alarms)."""
        alarms = self.wanted.found + self.false_alarms
        return self.wanted.found / alarms if alarms else 0.0

    @property
    def recall(self) -> float:
        """Events found / events that must be found."""
        return self.wanted.found / self.wanted.events if self.wanted.events else nan

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where nothing was found."""
        precision, recall = self.precision, self.recall
        return 2 * precision * recall / (precision + recall) if self.wanted.found else 0.0


def score(outcomes: Iterable[Outcome]) -> Score:
    """Pool the outcomes of many curves."""
    outcomes = list(outcomes)
    found = [each for outcome in outcomes for each in outcome.found]
    wanted = [each for each in found if each.event.must_be_found]
    told = sorted(each.told_delay for each in wanted if each.told_delay is not None)
    rows = sum(outcome.clean_rows for outcome in outcomes)
    rated = sum(len(outcome.false_alarms) for outcome in outcomes if outcome.clean_rows)
    false = [alarm for outcome in outcomes for alarm in outcome.false_alarms]
    return Score(
        wanted=Share.of(wanted),
        told_delay_median=delay_figures(told)[0],
        false_alarms=len(false),
        false_alarms_per_1000=1000 * rated / rows if rows else nan,
        by_kind=_by_kind(found),
        false_by_kind=dict(sorted(Counter(alarm.kind or "alarm" for alarm in false).items())),
        by_source=_by_source(outcomes),
    )


def _by_kind(found: Sequence[Found]) -> dict[str, Share]:
    """Shares by kind and severity; what need not be found says so."""
    groups: dict[str, list[Found]] = {}
    for each in found:
        event = each.event
        name = f"{event.kind} {event.severity}" + ("" if event.certain else " uncertain")
        groups.setdefault(name, []).append(each)
    return {name: Share.of(events) for name, events in sorted(groups.items())}


def _by_source(outcomes: Sequence[Outcome]) -> dict[str, tuple[int, int, int]]:
    """Of each source: events found, events that must be found, false alarms."""
    counts: dict[str, tuple[int, int, int]] = {}
    for outcome in outcomes:
        wanted = [each for each in outcome.found if each.event.must_be_found]
        hits, events, false = counts.get(outcome.source, (0, 0, 0))
        counts[outcome.source] = (
            hits + sum(each.alarm is not None for each in wanted),
            events + len(wanted),
            false + len(outcome.false_alarms),
        )
    return dict(sorted(counts.items()))


def labelled_rows(curve: Curve, at_most: int | None = None) -> Values:
    """1 for rows inside events that must be found, NaN for rows of which nothing is known, else 0.

    Nothing is known of don't-care events, nor of the few rows around an event that belong to its window; nor,
    with `at_most`, of more than so many rows of an event from its onset on.
    """
    rows = np.zeros(curve.rows)
    for event in curve.events:
        rows[max(0, event.start - EARLY_ROWS) : event.end + LATE_ROWS + 1] = nan
    for event in curve.events:
        if event.must_be_found:
            end = event.end + 1 if at_most is None else min(event.end + 1, event.start + at_most)
            rows[event.start : end] = 1.0
    return rows


def roc_auc(curves: Sequence[Curve], scores: Sequence[Values], at_most: int | None = None) -> float:
    """Area under the ROC curve of per-row scores, over all rows of which something is known."""
    truth = np.concatenate([labelled_rows(curve, at_most) for curve in curves])
    pooled = np.nan_to_num(np.concatenate(scores), nan=0.0, posinf=SCORE_LIMIT, neginf=-SCORE_LIMIT)
    known = ~np.isnan(truth)
    truth, pooled = truth[known], np.clip(pooled[known], -SCORE_LIMIT, SCORE_LIMIT)
    if not truth.any() or truth.all():
        return nan
    return float(roc_auc_score(truth, pooled))
