"""When a reading was renewed: energy counters, and averaged powers, stand still for about 100 ms at a time.

A bare reading is as old as the last renewal, so that a burst at the end of a run is missed. Where a run
begins and ends, it is asked every few milliseconds until it changes, and the reading is stamped with
that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

Number = TypeVar("Number", int, float)

LONGEST_WAIT_S: Final = 0.3
POLL_S: Final = 0.005
USUAL_S: Final = 0.1
"""How often boards renew what they tell."""
_EARLY_POLLS: Final = 1.5
_POLLS_ABOUT: Final = 3.5
"""Where the next renewal is expected, it is asked for from so many polls before, for so many."""
_CLEAR_POLLS: Final = 2.0
_KNOWN_FOR_S: Final = 10.0
"""So long after a renewal was seen, the moments of later ones are known well enough."""
_SURE: Final = 0.5
"""A period between renewals is believed if the moments of both are known to this part of it."""


class Renewal(NamedTuple, Generic[Number]):
    """What was said, and when: the moment of its renewal where that is known, to +- `error_s`."""

    time: float
    value: Number
    error_s: float = 0.0


class Edges(Generic[Number]):
    """Waits for renewals of what `ask` says, `longest_s` at most; `clock` is in seconds and never jumps.

    What does not change, cannot be read or answers late is returned as far as it was read; `took_s` is how
    long the last answer took. Of what is renewed
    every `usual_s`, nothing is asked until shortly before the next renewal, once the moment of one is known.
    """

    def __init__(
        self,
        ask: Callable[[], Number | None],
        clock: Callable[[], float],
        pause: Callable[[float], None],
        longest_s: float = LONGEST_WAIT_S,
        poll_s: float = POLL_S,
        usual_s: float | None = None,
    ) -> None:
        self._ask: Callable[[], Number | None] = ask
        self._clock = clock
        self._pause = pause
        self._longest_s = longest_s
        self._poll_s = poll_s
        self._usual_s = usual_s
        self._renewed_at: float | None = None
        self._value: Number | None = None
        self.period_s: float | None = None
        self.took_s = 0.0

    def first(self) -> list[Renewal[Number]]:
        """Return two renewals in a row, and learn their period; of a counter that stands still a reading."""
        read = self._watch(renewals=2)
        renewals = read[1:]
        if len(renewals) == 2:
            before, after = renewals
            period_s = after.time - before.time
            is_sure = before.error_s + after.error_s < _SURE * period_s
            self.period_s = period_s if is_sure else None
        return renewals or read

    def last(self) -> list[Renewal[Number]]:
        """Return the renewal before this moment and the one after it; if none comes, what is read now."""
        read = self._watch(renewals=1)
        if len(read) < 2 or self.period_s is None:
            return read
        now, after = read
        return [Renewal(min(now.time, after.time - self.period_s), now.value, after.error_s), after]

    def renewed(self) -> Renewal[Number] | None:
        """Wait for the next renewal and return it; if none comes, what is read now."""
        read = self._watch(renewals=1)
        return read[-1] if read else None

    def before(self) -> Renewal[Number] | None:
        """Return what is said now and when that was renewed, which the next renewal tells, if it comes."""
        return self._before(self._watch(renewals=1))

    def now(self) -> Renewal[Number] | None:
        """Return what is said now and when that was renewed, asked once where an earlier renewal tells it.

        What is still the same may bear any moment since it was renewed; renewals are watched for where it is
        not.
        """
        is_known = self._is_known()
        if is_known:
            self._keep_clear()
        read = self._read()
        if read is None or self._is_slow(read) or (not is_known and read.value == self._value):
            return read
        if not is_known:
            return self._before(self._watch_from(read, renewals=1))
        self._value = read.value
        return Renewal(read.time - self._age_s(read.time), read.value)

    def _before(self, read: list[Renewal[Number]]) -> Renewal[Number] | None:
        if len(read) < 2 or self._usual_s is None:
            return read[0] if read else None
        now, after = read
        return Renewal(min(now.time, after.time - self._usual_s), now.value, after.error_s)

    def _is_known(self) -> bool:
        """Tell whether the moments of renewals are known, from one that was seen of late."""
        return self._renewed_at is not None and self._clock() - self._renewed_at < _KNOWN_FOR_S

    def _age_s(self, now: float) -> float:
        """How long ago the last renewal was, by one that was seen."""
        assert self._usual_s is not None
        assert self._renewed_at is not None
        return (now - self._renewed_at) % self._usual_s

    def _keep_clear(self) -> None:
        """Wait where a renewal is about to come, or may just have: it would be unknown which was read."""
        assert self._usual_s is not None
        clear_s, age_s = _CLEAR_POLLS * self._poll_s, self._age_s(self._clock())
        if age_s < clear_s:
            self._pause(clear_s - age_s)
        elif age_s > self._usual_s - clear_s:
            self._pause(self._usual_s - age_s + clear_s)

    def _is_slow(self, read: Renewal[Number]) -> bool:
        """Tell whether the driver is too slow to tell one renewal from the next."""
        return read.error_s > (self._usual_s or USUAL_S) / 4

    def _watch(self, renewals: int) -> list[Renewal[Number]]:
        """Return a reading, and the renewals after it: so many if they come in time."""
        last = self._read()
        return [] if last is None else self._watch_from(last, renewals)

    def _watch_from(self, last: Renewal[Number], renewals: int) -> list[Renewal[Number]]:
        found = [last]
        if self._is_slow(last):
            return found
        give_up_at = last.time + self._longest_s
        if self._rest(last.time):
            give_up_at = self._clock() + _POLLS_ABOUT * self._poll_s
        for _ in range(round(self._longest_s / self._poll_s)):
            self._pause(self._poll_s)
            read = self._read()
            if read is None:
                break
            if read.value != last.value:
                found.append(Renewal((last.time + read.time) / 2, read.value, (read.time - last.time) / 2))
            last = read
            if len(found) > renewals or last.time >= give_up_at:
                break
        self._learn(found, last.value)
        return found

    def _learn(self, found: list[Renewal[Number]], value: Number) -> None:
        """Remember when it was renewed. What is constant tells nothing of that, and takes nothing back."""
        if found[1:]:
            self._renewed_at = found[-1].time if found[-1].error_s <= self._poll_s else None
        elif value != self._value:
            self._renewed_at = None
        self._value = value

    def _rest(self, now: float) -> bool:
        """Wait until shortly before the next renewal; False: it is not known when that is."""
        if self._usual_s is None or self._renewed_at is None:
            return False
        left_s = self._usual_s - self._age_s(now)
        self._pause(max(0.0, left_s - _EARLY_POLLS * self._poll_s))
        return True

    def _read(self) -> Renewal[Number] | None:
        asked_at = self._clock()
        value = self._ask()
        self.took_s = took_s = self._clock() - asked_at
        return None if value is None else Renewal(asked_at + took_s / 2, value, took_s / 2)
