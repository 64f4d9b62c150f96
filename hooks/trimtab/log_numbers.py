"""Numbers as they stand in logs, the ones that are not finite in all their spellings."""

from __future__ import annotations

import math
import re
from typing import Final

NON_FINITE: Final = r"(?:nan(?:\(\w*\))?|inf(?:inity)?)(?![A-Za-z])|\d\.#\w+|∞"
NUMBER: Final = (
    rf"[-+]?(?:{NON_FINITE}|(?:\d{{1,3}}(?:,\d{{3}})+(?![\d,])|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?"
    r"|\.\d+(?:[eE][-+]?\d+)?)"
)
"""Matches a number; what C libraries write for one that is not finite (`-nan(ind)`, `1.#INF`) included."""

_WRAPPED: Final = re.compile(r"(?:\w+\.)*(?:tensor|array|float\d*)\(([^,)]*(?:\(\w*\))?).*", re.DOTALL)


def number_of(text: str) -> float | None:
    """Return the number that a text says, None if it says none.

    >>> (
    ...     number_of("1,234.5"),
    ...     number_of("-1.#IND"),
    ...     number_of("tensor(2.5, device='cuda:0')"),
    ...     number_of("off"),
    ... )
    (1234.5, nan, 2.5, None)
    """
    bare = text.strip()
    wrapped = _WRAPPED.fullmatch(bare)
    if wrapped is not None:
        bare = wrapped[1].strip()
    if "_" in bare:  # Python would take 1_000; no trainer writes it
        return None
    try:
        return float(bare.replace(",", ""))
    except ValueError:
        return non_finite(bare)


def non_finite(text: str) -> float | None:
    """Return what is not finite, in the spellings that Python does not know."""
    bare = text.strip().casefold()
    sign = -1.0 if bare.startswith("-") else 1.0
    bare = bare.lstrip("+-")
    if re.fullmatch(r"nan\(\w*\)|\d\.#(?:[qs]?nan|ind)\w*", bare):
        return math.nan
    return sign * math.inf if re.fullmatch(r"∞|\d\.#inf\w*", bare) else None
