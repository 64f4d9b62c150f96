"""How long to wait before the next try."""

from __future__ import annotations

from typing import Final

SHORTEST_SECONDS: Final = 0.2
LONGEST_SECONDS: Final = 30.0


def wait_seconds(failures: int, share: float, asked: float | None = None) -> float:
    """Return the wait after this many failures in a row: exponential, with full jitter.

    `share` is a random number in [0, 1): a thousand jobs that lost their collector at once do not come back
    at once. `asked` is what the server said in Retry-After, in seconds; it is kept to, up to ten times the
    longest wait.

    >>> [wait_seconds(failures, 0.5) for failures in (1, 2, 3, 20)]
    [0.1, 0.2, 0.4, 15.0]
    >>> wait_seconds(1, 0.5, asked=7.0)
    7.1
    """
    ceiling = min(LONGEST_SECONDS, SHORTEST_SECONDS * 2.0 ** min(failures - 1, 16))
    floor = min(max(asked or 0.0, 0.0), 10 * LONGEST_SECONDS)
    return floor + ceiling * share
