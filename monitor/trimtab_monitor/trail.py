"""The last steps of a run in a few metrics: what an incident says of the time just before it.

Rates and the like that changed are clues to its cause, and rates that did not are clues too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from statistics import median
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.types import Sample

STEPS_KEPT: Final = 64
STEPS_BEFORE: Final = 5
"""The rate before an onset is that of so many samples earlier: a fault may show a few steps late."""

STEPS_BLAMED: Final = 20
"""A jump of the learning rate is told if it came at most so many samples before the onset."""

JUMP: Final = 1.5
"""From one step to the next, schedules change the rate by less than this factor."""

NEW_HEIGHT: Final = 1.2
"""A rate that jumps, but not above the highest of the last steps by this factor, does so all the time."""

BLAMED_LATE_STEPS: Final = 2
"""An onset is dated up to so many steps too early: what changed a little after it may be its cause."""

GROWS: Final = 1.2
"""A gradient norm grows steadily if it grows by this factor from each sample to the next."""

Row = tuple[int, float | None, float | None, float | None, float | None, float | None]
"""Step, learning rate, gradient norm, tokens, step seconds, loss scale: none where it was not measured."""

LR, GRAD_NORM, TOKENS, STEP_SECONDS, LOSS_SCALE = range(1, 6)
CONTEXT: Final = {"tokens": TOKENS, "step_seconds": STEP_SECONDS, "loss_scale": LOSS_SCALE}


@dataclass(slots=True)
class Trail:
    """Rows of one rank, oldest first, with rising steps."""

    rows: list[Row] = field(default_factory=list)

    def note(self, sample: Sample) -> None:
        """Keep what the sample tells beside its loss."""
        get, step, rows = sample.values.get, sample.step, self.rows
        row: Row = (
            step,
            get(wire.LR),
            get(wire.GRAD_NORM),
            get(wire.TOKENS),
            get(wire.STEP_SECONDS),
            get(wire.LOSS_SCALE),
        )
        if rows and step <= rows[-1][0]:
            row = self._again(row)
        rows.append(row)
        if len(rows) > STEPS_KEPT:
            del rows[0]

    def _again(self, row: Row) -> Row:
        """A step that comes in two samples is one row; an earlier step begins anew from there."""
        known = self.rows[-1] if self.rows[-1][0] == row[0] else None
        self.rewind(row[0] - 1)
        if known is None:
            return row
        lr, norm, tokens, seconds, scale = (
            old if new is None else new for new, old in zip(row[1:], known[1:], strict=True)
        )
        return row[0], lr, norm, tokens, seconds, scale

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        while self.rows and self.rows[-1][0] > step:
            self.rows.pop()


def around(rows: Sequence[Row], onset: int) -> dict[str, Any]:
    """What is known of the steps just before `onset` and since: rate, gradients, tokens, pace, loss scale."""
    return _rates(rows, onset) | _gradients(rows, onset) | _context(rows, onset)


def _column(rows: Sequence[Row], index: int) -> list[tuple[int, float]]:
    out: list[tuple[int, float]] = []
    for row in rows:
        value = row[index]
        if value is not None and isfinite(value):
            out.append((row[0], value))
    return out


def _rates(rows: Sequence[Row], onset: int) -> dict[str, Any]:
    """The learning rate some samples before, now, and where it last jumped up.

    A rate that goes up and down all the time is `lr_varies`: that it is up now tells nothing.
    """
    rates = _column(rows, LR)
    if not rates:
        return {}
    earlier = sum(1 for step, _ in rates if step < onset)
    start = max(0, earlier - STEPS_BEFORE)
    known: dict[str, Any] = {"lr_before": rates[start][1], "lr_now": rates[-1][1]}
    for index in range(len(rates) - 1, max(0, earlier - STEPS_BLAMED), -1):
        before, after = rates[index - 1][1], rates[index][1]
        highest = max(rate for _, rate in rates[:index])
        if before > 0.0 and after > JUMP * before and after > NEW_HEIGHT * highest:
            known["lr_before"] = before
            return known | {"lr_jump_step": rates[index][0], "lr_jump_factor": after / before}
    return known | ({"lr_varies": True} if _varies([rate for _, rate in rates], start) else {})


def _varies(rates: Sequence[float], start: int) -> bool:
    """Whether the rates since `start` are no steady climb, or the last was as high before."""
    since = rates[start:]
    falls = any(after < before for before, after in pairwise(since))
    return falls or max(rates[:start], default=0.0) >= since[-1]


def _gradients(rows: Sequence[Row], onset: int) -> dict[str, Any]:
    """How the norm went since just before the onset: its highest value, and where it began to grow steadily.

    The norms themselves are of the run as it was then; a value that is not finite ends them.
    """
    norms = _column(rows, GRAD_NORM)
    usual = [norm for step, norm in norms if step < onset]
    if not usual:
        return {}
    known: dict[str, Any] = {"grad_norm_before": median(usual)}
    since = [norm for step, norm in norms if step >= onset - STEPS_BEFORE]
    if since:
        known["grad_norm_highest"] = max(since)
    growth = _steady_growth(norms)
    return known | ({"grad_norm_grew_steps": growth} if growth > 1 else {})


def calm_between(rows: Sequence[Row], first: int, last: int) -> bool:
    """Whether the gradient norm that rose at `first` was down again before `last`: it did not lead there."""
    norms = _column(rows, GRAD_NORM)
    usual = [norm for step, norm in norms if step < first]
    rose = [norm for step, norm in norms if step == first]
    between = [norm for step, norm in norms if first < step < last]
    return bool(usual and rose and between) and between[-1] < (median(usual) + rose[0]) / 2


def _steady_growth(norms: Sequence[tuple[int, float]]) -> int:
    """How many samples in a row, up to the last one, the norm grew by a factor."""
    count = 0
    for (_, before), (_, after) in zip(reversed(norms[:-1]), reversed(norms), strict=False):
        if not after > GROWS * before > 0.0:
            break
        count += 1
    return count


def _context(rows: Sequence[Row], onset: int) -> dict[str, Any]:
    """Other metrics: usual before, how far they strayed from it, and the one furthest from it at the onset.

    What changes later is no cause: of the tokens of a step only those at the onset count.
    """
    known: dict[str, Any] = {}
    for name, index in CONTEXT.items():
        column = _column(rows, index)
        before = [value for step, value in column if step < onset]
        last = onset + BLAMED_LATE_STEPS
        since = [value for step, value in column if step >= onset and (step <= last or name != "tokens")]
        if before and since:
            usual = median(before)
            known[f"{name}_before"] = usual
            known[f"{name}_now"] = _furthest(since, usual)
            strays = abs(_furthest(before, usual) - usual)
            known |= {f"{name}_strays": strays} if strays > 0.0 else {}
    return known


def _furthest(values: Sequence[float], usual: float) -> float:
    return max(values, key=lambda value: abs(value - usual))
