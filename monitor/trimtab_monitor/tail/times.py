"""When rows were measured, where their file does not say."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab_monitor.tail.steps import Placed


def stamped(rows: Sequence[Placed], before: float | None, now: float) -> list[float]:
    """Return each row's time, Unix seconds.

    Those without one are spread evenly since the last time that the file grew: a writer hands over several at
    once. What was there from the start (`before` is None) is as old as its file: `now` is when that was last
    written.

    >>> from trimtab_monitor.replay.readers.row import Row
    >>> rows = [Placed(0, step, Row(step, step, {})) for step in (1, 2)]
    >>> stamped(rows, 10.0, 14.0), stamped(rows, None, 14.0)
    ([12.0, 14.0], [14.0, 14.0])
    """
    share = 0.0 if before is None else (now - before) / max(len(rows), 1)
    spread = (now - share * (len(rows) - 1 - i) for i in range(len(rows)))
    return [
        time if placed.row.time is None else placed.row.time
        for placed, time in zip(rows, spread, strict=True)
    ]
