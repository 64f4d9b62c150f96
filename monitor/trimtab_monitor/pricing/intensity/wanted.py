"""In which hours runs used energy: what there is to ask providers for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trimtab_monitor.pricing.intensity.values import hour_of
from trimtab_monitor.store.protocols import Store

HoursOf = Callable[[bytes], Iterable[float]]
"""The hours in which a run used energy, Unix seconds, from its state as it is stored."""


@dataclass(frozen=True, slots=True)
class _Seen:
    heard: float
    looked_hour: int
    hours: frozenset[int]


class WantedHours:
    """The hours of live runs and of those heard within `back_s` seconds; states are read once an hour.

    Between two looks a live run is taken to use energy in the hour that goes on.
    """

    def __init__(self, store: Store, hours_of: HoursOf, back_s: float) -> None:
        self._store = store
        self._hours_of = hours_of
        self._back_s = back_s
        self._seen: dict[str, _Seen] = {}

    def __call__(self, now: float) -> set[int]:
        """The hours, as of `now`, Unix seconds."""
        live = set(self._store.state.live())
        heard = {each.run: each.heard for each in self._store.views.summaries(heard_since=now - self._back_s)}
        self._seen = {run: seen for run, seen in self._seen.items() if run in heard}
        for run, time in heard.items():
            self._look(run, time, now)
        hours = {hour for seen in self._seen.values() for hour in seen.hours if hour >= now - self._back_s}
        return hours | ({hour_of(now)} if live & heard.keys() else set())

    def _look(self, run: str, heard: float, now: float) -> None:
        seen, hour = self._seen.get(run), hour_of(now)
        if seen is not None and (seen.heard == heard or seen.looked_hour == hour):
            return
        packed = self._store.state.load(run)
        hours = [] if packed is None else self._hours_of(packed)
        self._seen[run] = _Seen(heard, hour, frozenset(hour_of(each) for each in hours))
