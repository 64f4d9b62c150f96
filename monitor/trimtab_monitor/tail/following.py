"""The loop of `trimtab tail`: looks at every log a few times a second, until it is told to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Final

from trimtab_monitor.replay.columns import NoRun
from trimtab_monitor.tail.follower import Follower
from trimtab_monitor.tail.sources import Source
from trimtab_monitor.tail.targets import Targets

POLL_S: Final = 0.25
LOOK_S: Final = 2.0
"""How often folders are looked at for what is new in them."""


@dataclass(frozen=True, slots=True)
class Until:
    """When to end: `once` all that is there was read, or `idle_s` seconds after the last growth."""

    once: bool = False
    idle_s: float | None = None


@dataclass(slots=True)
class Following:
    """All that is followed; `make` makes a follower of a source, `note` is told what goes wrong."""

    targets: Targets
    make: Callable[[Source], Follower]
    until: Until
    note: Callable[[str], None]
    followers: list[Follower] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    looked: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def run(self, stop: Event) -> bool:
        """Follow until the end; False: the collector did not take all.

        Raises:
            NoRun: nothing that was named could be watched.
        """
        try:
            while not stop.is_set() and not self._is_over(self._turn()):
                pass
        finally:
            took = [self._finish(follower, at_end=not stop.is_set()) for follower in self.followers]
        if self.failed and not any(follower.rows for follower in self.followers):
            raise ValueError("; ".join(self.failed))
        return all(took)

    def _turn(self) -> bool:
        """Look at everything once; False: nothing was new, and some time has passed."""
        now = time.monotonic()
        if not self.looked or now - self.looked >= LOOK_S:
            self.looked = now
            self.followers += [self.make(source) for source in self.targets.new()]
        grew = [self._one(follower) for follower in self.followers if follower.problem is None]
        if not any(grew) and not self.until.once:
            time.sleep(POLL_S)
        return any(grew)

    def _one(self, follower: Follower) -> bool:
        try:
            return follower.turn()
        except NoRun as error:
            self._drop(follower, str(error))
        except OSError as error:
            problem = f"{follower.path}: {(error.strerror or str(error)).lower()}"
            if follower.rows:
                self._tell_once(f"{problem}: tries again")
            else:
                self._drop(follower, problem)
        return False

    def _tell_once(self, problem: str) -> None:
        if problem not in self.told:
            self.told.add(problem)
            self.note(problem)

    def _drop(self, follower: Follower, problem: str) -> None:
        follower.problem = problem
        self.failed.append(problem)
        if len(self.followers) > 1:
            self.note(f"{problem} (passed over)")

    def _is_over(self, grew: bool) -> bool:
        if all(follower.problem is not None for follower in self.followers) and self.followers:
            return True
        if grew:
            return False
        if self.until.once:
            return True
        quiet = max([self.began, *(follower.quiet_since for follower in self.followers)])
        return self.until.idle_s is not None and time.monotonic() - quiet >= self.until.idle_s

    def _finish(self, follower: Follower, *, at_end: bool) -> bool:
        return True if follower.problem is not None and not follower.rows else follower.finish(at_end=at_end)
