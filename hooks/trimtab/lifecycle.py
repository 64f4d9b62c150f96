"""What happens to the watches of a process when it forks, exits or is asked to end.

- `fork`: the child's watches are inert at once; the parent's ring, spool and connection are not the child's
  to touch.
- exit: what is left is sent, for a few seconds at most. An uncaught exception makes it a failed run; the code
  of `sys.exit` cannot be seen by then, so such a run is finished, with "without close()" as its reason.
- SIGTERM, only where nobody handles it: the same, then the signal is raised again with its default action, so
  that the exit status is what it would have been.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import Any, Final

from trimtab.guard import reason_of
from trimtab.watching import Watch

LOG = logging.getLogger("trimtab")

CLOSE_SECONDS: Final = 5.0

_live: list[tuple[Watch, tuple[Any, ...]]] = []
"""The watches of this process that are not closed, with the objects that they watch."""

_hooked = False


def adopt(watch: Watch, objects: tuple[Any, ...]) -> None:
    """Look after a watch of `objects` (model, optimizer) from now on."""
    _live.append((watch, objects))
    _hook_process()
    _handle_sigterm()


def forget_closed() -> None:
    """Let go of the watches that are closed, and with them of models: a process may train many."""
    _live[:] = [(watch, objects) for watch, objects in _live if watch.over is None]


def end_those_watching(objects: tuple[Any, ...]) -> None:
    """Close the watches of the same model or optimizer: the newest call of `watch()` counts."""
    for watch, theirs in (*_live,):
        same = any(ours is other for ours in objects for other in theirs if ours is not None)
        if same and watch.over is None:
            LOG.warning("trimtab: run %s is closed: watch() was called again for the same model", watch.run)
            watch.end("finished", "watch() was called again")


def live_runs() -> set[str]:
    """Return the runs that this process watches."""
    return {watch.run for watch, _ in _live if watch.over is None}


def _hook_process() -> None:
    global _hooked
    if not _hooked:
        _hooked = True
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_after_fork_in_child)


def _at_exit() -> None:
    error = uncaught()
    if error is None:
        _end_all("finished", "the process ended without close()")
    else:
        _end_all("failed", reason_of(error))


def uncaught() -> BaseException | None:
    """Return the exception that ends the process, if the interpreter knows; `sys.exit(1)` leaves no trace."""
    if hasattr(sys, "ps1"):
        return None
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None


def _end_all(status: Any, reason: str, by_signal: bool = False) -> None:
    deadline = time.monotonic() + CLOSE_SECONDS
    for watch, _ in (*_live,):
        watch.end(status, reason, max(0.0, deadline - time.monotonic()), by_signal)
    _live.clear()


def _after_fork_in_child() -> None:
    for watch, _ in _live:
        watch.abandon()
    _live.clear()
    with contextlib.suppress(ValueError):  # not the main thread: it has no handlers to give back
        if signal.getsignal(signal.SIGTERM) is _on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _handle_sigterm() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: object) -> None:
    del frame
    _end_all("failed", "SIGTERM", by_signal=True)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
