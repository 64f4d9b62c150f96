"""How numbers, steps and lists are said to people."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isnan

LISTED = 8


def number(value: float) -> str:
    """A value for people: three digits or more, and words for the non-finite.

    >>> number(2.1), number(65536.0), number(0.000123), number(float("nan")), number(1.5e12)
    ('2.10', '65,536', '0.000123', 'NaN', '1.5e+12')
    """
    if isnan(value):
        return "NaN"
    if value in (inf, -inf):
        return "infinite" if value > 0 else "minus infinite"
    if 1.0 <= abs(value) < 1000.0:
        return f"{value:.2f}"
    return f"{value:,.0f}" if 1000.0 <= abs(value) < 1e9 else f"{value:.3g}"


def step_text(step: int) -> str:
    """A step for people, its thousands apart.

    >>> step_text(41203)
    '41,203'
    """
    return f"{step:,}"


def plural(count: int, unit: str) -> str:
    """So many of a unit.

    >>> plural(1, "step"), plural(1200, "sample")
    ('1 step', '1,200 samples')
    """
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def listed(items: Sequence[int]) -> str:
    """Numbers in order, the first few of many.

    >>> listed([3, 1]), listed(range(10))
    ('1, 3', '0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
    """
    shown = ", ".join(str(item) for item in sorted(items)[:LISTED])
    return shown + (f" and {len(items) - LISTED} more" if len(items) > LISTED else "")
