"""When an energy counter was renewed: it stands still for about 100 ms at a time.

A bare reading is as old as the last renewal, so that a burst at the end of a run is missed. Where a run
begins and ends, the counter is asked every few milliseconds until it changes, and the reading is stamped with
that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

LONGEST_WAIT_S: Final = 0.3
POLL_S: Final = 0.005
_MOST_POLLS: Final = round(LONGEST_WAIT_S / POLL_S)
_SURE: Final = 0.5
"""A period between renewals is believed if the moments of both are known to this part of it."""


class Count(NamedTuple):
    """What the counter said, and when: the moment of its renewal where that is known, to +- `error_s`."""

    time: float
    counter: int
    error_s: float = 0.0


class Edges:
    """Waits for renewals of one counter, `LONGEST_WAIT_S` at most; `clock` is in seconds and never jumps.

    A counter that does not change, cannot be read or answers late is returned as far as it was read.
    """

    def __init__(
        self,
        count: Callable[[], int | None],
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self._count = count
        self._clock = clock
        self._pause = pause
        self.period_s: float | None = None

    def first(self) -> list[Count]:
        """Return two renewals in a row, and learn their period; of a counter that stands still a reading."""
        read = self._watch(renewals=2)
        renewals = read[1:]
        if len(renewals) == 2:
            before, after = renewals
            period_s = after.time - before.time
            is_sure = before.error_s + after.error_s < _SURE * period_s
            self.period_s = period_s if is_sure else None
        return renewals or read

    def last(self) -> list[Count]:
        """Return the renewal before this moment and the one after it; if none comes, what is read now."""
        read = self._watch(renewals=1)
        if len(read) < 2 or self.period_s is None:
            return read
        now, after = read
        return [Count(min(now.time, after.time - self.period_s), now.counter, after.error_s), after]

    def _watch(self, renewals: int) -> list[Count]:
        """Return a reading, and the renewals after it: so many if they come in time."""
        last = self._read()
        if last is None:
            return []
        found = [last]
        give_up_at = last.time + LONGEST_WAIT_S
        for _ in range(_MOST_POLLS):
            self._pause(POLL_S)
            read = self._read()
            if read is None:
                break
            if read.counter != last.counter:
                found.append(Count((last.time + read.time) / 2, read.counter, (read.time - last.time) / 2))
            last = read
            if len(found) > renewals or last.time >= give_up_at:
                break
        return found

    def _read(self) -> Count | None:
        asked_at = self._clock()
        counter = self._count()
        return None if counter is None else Count((asked_at + self._clock()) / 2, counter)
