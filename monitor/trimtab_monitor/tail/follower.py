"""Follows one log: sends what is new in it as a run, and tells what the collector finds."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab.identity import new_run_id
from trimtab.job_settings import JobSettings
from trimtab.relay import Relay, Relayed
from trimtab_monitor.tail.memory import Memory
from trimtab_monitor.tail.news import News
from trimtab_monitor.tail.sources import Source
from trimtab_monitor.tail.steps import Placed
from trimtab_monitor.tail.telling import Telling
from trimtab_monitor.tail.times import stamped

NEWS_S: Final = 0.5
MEMORY_S: Final = 1.0
CLOSE_S: Final = 30.0
FOLD_S: Final = 10.0
"""How long a collector that gets no further is waited for."""
FINISHED: Final = "finished"
ENDED: Final = "trimtab tail follows its log no more"


@dataclass(frozen=True, slots=True)
class Named:
    """What runs are called: None: after the folder, and the file."""

    project: str | None = None
    name: str | None = None

    def project_of(self, path: Path) -> str:
        """The project of a log: the folder that it stands in."""
        return self.project or path.resolve().parent.name[:200] or "default"

    def name_of(self, path: Path) -> str:
        """The name of the run that a log is of."""
        return self.name or path.resolve().name[:200]


class Follower:
    """One source and its run, which begins with the first row; `quiet_since` is when it last grew."""

    def __init__(self, source: Source, named: Named, settings: JobSettings, telling: Telling) -> None:
        self.source = source
        self.path = source.path
        self.rows = 0
        self.problem: str | None = None
        self._named = named
        self._settings = settings
        self._telling = telling
        self._memory = Memory(settings.data_folder(os.environ), source.path, settings.url)
        self._known = self._memory.recall()
        self._relay: Relay | None = None
        self._news: News | None = None
        self._sent = (0, 0)
        self._grew: float | None = None
        self._is_live = False
        self._asked = self._kept = 0.0
        self.quiet_since = time.monotonic()

    def turn(self) -> bool:
        """Send what is new; False: nothing was.

        Raises:
            NoRun: there is nothing in it that could be watched.
            OSError: it cannot be read.
        """
        rows = self.source.poll()
        if rows is None:
            self._send(self.source.idle(end=False))
            self._is_live = True
        else:
            self.quiet_since = time.monotonic()
            self._send(rows)
        self._tell_news()
        return rows is not None

    def finish(self, *, at_end: bool) -> bool:
        """Send the rest, end the run and tell what was found; False: the collector did not take it all.

        `at_end`: all that there is was read, so a last line without its end counts.
        """
        self._send(self.source.idle(end=at_end))
        self.source.close()
        if self._relay is None:
            self._telling.end(self.path, self._known.run if self._known else None, 0, 0)
            return True
        self._keep()
        self._relay.close(ENDED, CLOSE_S)
        was_told = self._wait_for_end()
        self._telling.end(
            self.path, self._relay.run, self.rows, len(self._news.incidents) if self._news else 0
        )
        return was_told

    def _send(self, rows: Sequence[Placed]) -> None:
        known = self._known
        new = [row for row in rows if known is None or row.place > (known.attempt, known.step)]
        if not new:
            return
        live = self._is_live and self._grew is not None
        now = time.time() if live else self.source.modified
        times = stamped(new, self._grew if live else None, now)
        relay = self._begun(new[0], times[0])
        for row, seconds in zip(new, times, strict=True):
            while self._sent[0] < row.attempt:
                relay.begin_attempt()
                self._sent = (self._sent[0] + 1, 0)
            relay.row(row.step, seconds, row.row.values)
            self._sent = row.place
        self.rows += len(new)
        self._grew = now
        if time.monotonic() - self._kept > MEMORY_S:
            self._keep()

    def _begun(self, first: Placed, seconds: float) -> Relay:
        """Return the way to the collector; it is opened with the first row."""
        if self._relay is None:
            known = self._known
            project = self._named.project_of(self.path)
            run = known.run if known else new_run_id(project, time.time())
            config = {"log": str(self.path.resolve())}
            relayed = Relayed(run, project, self._named.name_of(self.path), config)
            self._relay = Relay(relayed, self._settings)
            self._sent = (known.attempt if known else first.attempt, known.step if known else 0)
            self._relay.begin(self._sent[1], seconds)
            self._telling.following(self.path, run, self._relay.url, again=known is not None)
            base = self._relay.url.partition("/?run=")[0]
            self._news = News(base, run) if base else None
        return self._relay

    def _keep(self) -> None:
        assert self._relay is not None, "a row was sent"
        self._kept = time.monotonic()
        attempt, step = self._sent
        self._memory.keep(self._relay.run, max(0, attempt - self.source.began_in), step)

    def _tell_news(self) -> None:
        now = time.monotonic()
        if now - self._asked < NEWS_S:
            return
        self._asked = now
        self._tell_changed(now)

    def _tell_changed(self, now: float) -> None:
        if self._news is not None and self._relay is not None:
            for incident in self._news.changed(now):
                self._telling.incident(self.path, self._relay.run, incident)

    def _wait_for_end(self) -> bool:
        """Wait until the collector has folded all, and tell the rest of what it found."""
        if self._news is None:
            return False
        came, moved = self._news.progress(), time.monotonic()
        while came is not None and came[0] != FINISHED and time.monotonic() - moved < FOLD_S:
            time.sleep(0.05)
            before, came = came, self._news.progress()
            moved = moved if came == before else time.monotonic()
        self._tell_changed(math.inf)
        self._news.close()
        return came is not None and came[0] == FINISHED
