"""When a row was measured, as logs and tables say it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

EARLIEST: Final = 1e8
"""A clock shows more (1973): what is less counts from a start, not from 1970."""
LATEST: Final = 1e11
UNITS: Final = (1.0, 1e-3, 1e-6, 1e-9)

_STAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\d)"
)
_WHERE: Final = 120
"""So many characters into a line a log has written its time."""


def unix_seconds(raw: object) -> float | None:
    """Return a time in Unix seconds: a number of seconds to nanoseconds, or a date; None if it is neither.

    A date without a zone is in that of this machine.

    >>> unix_seconds("1700000000.5"), unix_seconds(1700000000500), unix_seconds("2023-11-14T22:13:20Z")
    (1700000000.5, 1700000000.5, 1700000000.0)
    """
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        return time_in(raw) if isinstance(raw, str) else None
    return next((value * unit for unit in UNITS if EARLIEST < value * unit < LATEST), None)


def time_in(line: str) -> float | None:
    """Return the first time that is written in the beginning of a line, in Unix seconds.

    >>> time_in("[2023-11-14 22:13:20,500+00:00] step 3"), time_in("step 3 of 2023")
    (1700000000.5, None)
    """
    found = _STAMP.search(line, 0, _WHERE)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[0].replace(",", ".")).timestamp()
    except (ValueError, OverflowError):
        return None
