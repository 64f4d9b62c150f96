"""Writes what a run records to what its user already looks at too, beside the way to the collector.

The drainer hands over rows that it has packed, so values have arrived from the device and cost the training
thread nothing more. Each mirror has a thread and a bounded queue of its own: one that blocks or raises holds
up nobody. What it does not take is counted, and told once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from trimtab.guard import Tally
from trimtab.outbound.mirror_targets import Target
from trimtab.outbound.packer import Part
from trimtab.vocabulary import is_measured

LOG = logging.getLogger("trimtab")

MOST_ROWS: Final = 65536
"""So many rows wait for one mirror at most."""
MOST_FAILURES: Final = 10
"""After so many failures in a row a mirror is given up."""
_GIVEN_UP: Final = "was given up"


def rows_of(part: Part) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield each row's step and what was measured there."""
    for row, step in enumerate(part.step):
        values = {name: column[row] for name, column in part.metrics.items() if is_measured(column[row])}
        if values:
            yield step, values


class Mirror:
    """One mirror and its thread; `put` never waits."""

    def __init__(self, target: Target, drops: Tally) -> None:
        self._target = target
        self._drops = drops
        self._parts: deque[Part] = deque()
        self._waiting = 0
        self._ending = False
        self._failures = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="trimtab-mirror", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, part: Part) -> None:
        """Take rows to be written, or count them where too many wait already."""
        rows = len(part.step)
        if self._is_given_up:
            self._count(_GIVEN_UP, rows)
            return
        with self._changed:
            if not self._waiting or self._waiting + rows <= MOST_ROWS:
                self._parts.append(part)
                self._waiting += rows
                self._changed.notify()
                return
        self._count("takes too long", rows)

    def end(self) -> None:
        """Write what waits, then flush and end."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait so long for the end; what is not written by then is counted and left."""
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            with self._changed:
                left, self._waiting = self._waiting, 0
                self._parts.clear()
            LOG.warning("trimtab: %s did not take all in time: %d rows are left out", self._target.name, left)

    @property
    def _is_given_up(self) -> bool:
        return self._failures >= MOST_FAILURES

    def _run(self) -> None:
        while (part := self._next()) is not None:
            for step, values in rows_of(part):
                if self._is_given_up:
                    self._count(_GIVEN_UP, 1)
                else:
                    self._call(f"step {step}", partial(self._target.write, step, values))
            with self._changed:
                self._waiting = max(0, self._waiting - len(part.step))
        if not self._is_given_up:
            self._call("flush", self._target.flush)

    def _next(self) -> Part | None:
        with self._changed:
            self._changed.wait_for(lambda: self._parts or self._ending)
            return self._parts.popleft() if self._parts else None

    def _call(self, where: str, call: Callable[[], object]) -> None:
        try:
            call()
        except (Exception, SystemExit) as error:  # noqa: BLE001  (a tracker may raise anything: the job comes first)
            self._failed(where, error)
        else:
            self._failures = 0

    def _failed(self, where: str, error: BaseException) -> None:
        self._failures += 1
        self._count(f"{where}: {type(error).__name__}: {error}"[:200], 1, "raises")
        if self._is_given_up:
            LOG.warning(
                "trimtab: %s failed %d times in a row, and is given up", self._target.name, MOST_FAILURES
            )

    def _count(self, why: str, rows: int, kind: str = "") -> None:
        if rows and self._drops.count(f"not mirrored to {self._target.name}", kind or why, by=rows):
            LOG.warning(
                "trimtab: not mirrored to %s: %s; the collector gets all the same", self._target.name, why
            )


class Mirrors:
    """All mirrors of a run; `put` is called on the drainer's thread."""

    def __init__(self, targets: Sequence[Target], drops: Tally) -> None:
        self._mirrors = [Mirror(target, drops) for target in targets]

    def start(self) -> None:
        """Start their threads."""
        for mirror in self._mirrors:
            mirror.start()

    def put(self, part: Part) -> None:
        """Hand rows to each mirror."""
        if part.step:
            for mirror in self._mirrors:
                mirror.put(part)

    def end(self) -> None:
        """Write what waits, then flush, each in its thread."""
        for mirror in self._mirrors:
            mirror.end()

    def join(self, seconds: float) -> None:
        """Wait for all of them, so many seconds together."""
        deadline = time.monotonic() + seconds
        for mirror in self._mirrors:
            mirror.join(deadline - time.monotonic())
