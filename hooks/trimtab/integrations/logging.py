"""Steps from what a job logs with Python's `logging`, without a call of its own for it.

```python
logging.getLogger("train").addHandler(TrimtabHandler(project="gpt"))
```
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import trimtab
from trimtab.guard import Guard
from trimtab.log_patterns import PATTERNS, LogPattern, own_pattern, plain_text
from trimtab.usual_names import METRIC_NAMES, STEP_NAMES, named, spelt
from trimtab.vocabulary import LOSS
from trimtab.watching import Watch

_OWN: Final = "trimtab"
_TELLING: Final = frozenset((*STEP_NAMES, *METRIC_NAMES[LOSS]))
_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__)
_ALWAYS_THERE: Final = _FIELDS | {"message", "asctime", "taskName"}
"""What every record has; what else there is came with `extra`."""


class TrimtabHandler(logging.Handler):
    """Makes a step of each record that tells one; it never raises, and others cost a few microseconds.

    The values are those given as `extra={"step": 10, "loss": 2.5}`, those of a dict that is the message or
    its only argument, or those found in the text by `pattern` (a regular expression with named groups), else
    by those of the usual trainers. A record with neither step nor loss is none. A record of the last step, or
    of one before it and without a loss, adds to the run as an evaluation does; one with a loss and an earlier
    step begins a new attempt.

    Args:
        watch: the watch to tell; without it `trimtab.watch(**watch_arguments)` is called, and what it returns
            is closed with the handler.
        level: records below it are passed over.
        pattern: how a step is written, where that is not usual.
        watch_arguments: as `trimtab.watch` takes them.

    Raises:
        ValueError: an argument is not what it must be.
    """

    def __init__(
        self,
        watch: Watch | None = None,
        *,
        level: int = logging.NOTSET,
        pattern: str | None = None,
        **watch_arguments: Any,
    ) -> None:
        super().__init__(level)
        if watch is not None and watch_arguments:
            raise ValueError(f"{', '.join(watch_arguments)}: give either a watch or what to make one with")
        self._patterns: Sequence[LogPattern] = PATTERNS if pattern is None else (own_pattern(pattern),)
        self._sifts = pattern is None
        self._busy = threading.local()
        self._guard = Guard()
        self._owns = watch is None
        self.watch = trimtab.watch(**watch_arguments) if watch is None else watch

    def createLock(self) -> None:  # noqa: N802 (its name in `logging`)
        """Have no lock: a watch has its own, and two that are taken in both orders would stop the job."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record that the filters pass, or what they put in its place.

        What Python 3.13 has here needs a lock.
        """
        passed: bool | logging.LogRecord = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass over what Trimtab logs itself, and what is logged while a record is taken."""
        if record.name.partition(".")[0] == _OWN or getattr(self._busy, "now", False):
            return False
        return super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        self._busy.now = True
        try:
            with self._guard.shield("log handler"):
                values = self._values(record)
                if values:
                    self._tell(values)
        finally:
            self._busy.now = False

    def close(self) -> None:
        """Close the watch too, unless it was given.

        `dictConfig` closes the handlers that were there while it holds the lock that all loggers need, those
        of the threads that send the rest among them: then the watch ends in a thread, once the lock is free.
        """
        if self._owns and _holds_the_lock_of_all_loggers():
            threading.Thread(target=self.watch.close, name="trimtab-close").start()
        elif self._owns:
            self.watch.close()
        super().close()

    def _values(self, record: logging.LogRecord) -> Mapping[str, Any] | None:
        """Return the values by name that a record tells, in whichever way it does."""
        fields = record.__dict__
        if len(fields) > len(_FIELDS):
            given = {name: value for name, value in fields.items() if name not in _ALWAYS_THERE}
            if _tells_a_step(given):
                return given
        for said in (record.msg, record.args):
            if isinstance(said, Mapping) and _tells_a_step(said):
                return said
        return self._in_text(record)

    def _in_text(self, record: logging.LogRecord) -> Mapping[str, Any] | None:
        text = record.getMessage()
        if self._sifts and LOSS not in text and LOSS not in text.lower():
            return None
        plain = plain_text(text)
        return next((values for each in self._patterns if (values := each.read(plain))), None)

    def _tell(self, given: Mapping[str, Any]) -> None:
        """Name the values as the collector does, and record them."""
        step, values = _named_as_usual(given)
        if not values:
            return
        watch = self.watch
        is_late = step is not None and (
            step == watch.step_number or (step < watch.step_number and LOSS not in values)
        )
        if is_late or (step is None and LOSS not in values):
            watch.record(**values)
        else:
            watch.step(step=step, **values)


def _holds_the_lock_of_all_loggers() -> bool:
    """Whether this thread does; a logging module without such a lock has nothing to wait for."""
    owned = getattr(getattr(logging, "_lock", None), "_is_owned", None)
    return bool(owned is not None and owned())


def _tells_a_step(given: Mapping[str, Any]) -> bool:
    return any(isinstance(name, str) and spelt(name) in _TELLING for name in given)


def _named_as_usual(given: Mapping[str, Any]) -> tuple[int | None, dict[str, Any]]:
    """Return the step and the numbers, the standard ones under their names; what is no number is left out."""
    left = {str(name): value for name, value in given.items() if _is_number(value)}
    name = named(left, STEP_NAMES)
    place = None if name is None else float(left.pop(name))
    step = int(place) if place is not None and math.isfinite(place) else None
    values = {}
    for standard, usual in METRIC_NAMES.items():
        name = named(left, usual)
        if name is not None:
            values[standard] = left.pop(name)
    return step, left | values


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool)
