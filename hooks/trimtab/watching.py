"""The handle of one watched run: what the training loop calls once a step."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from trimtab import wire
from trimtab.capture.own_time import OwnTime
from trimtab.guard import Guard, reason_of
from trimtab.journal import LATE_SECONDS, Journal
from trimtab.rewind.accord import Ballot
from trimtab.rewind.boundary import Boundary, DiskCheckpoints
from trimtab.rewind.orders import Order
from trimtab.step_result import StepResult
from trimtab.vocabulary import LOSS, LR, Command

LOG = logging.getLogger("trimtab")

Status = Literal["finished", "failed"]
_TRAIN: Final = "train"
_LEAST_SECONDS: Final = 0.5
_ROWS_AT_ONCE: Final = 8


class DataPath(Protocol):
    """The way of what is written down to the collector."""

    def close(self, seconds: float, keep_ring: bool = False) -> None:
        """Send what is left, in bounded time."""

    def abandon(self) -> None:
        """Let go of everything without touching it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a watch is made of. `let_go` returns what was borrowed from the optimizer and the host."""

    path: DataPath
    journal: Journal
    boundary: Boundary
    checkpoints: DiskCheckpoints
    guard: Guard
    own_time: OwnTime
    let_go: Callable[[], None]
    close_seconds: float


class Watch:
    """One watched run. `step` is the one call a step; nothing here raises into the training loop.

    `run` is the run's id, `url` its page, empty where there is none. `over` says why steps are not recorded
    any more, None while they are.
    """

    __slots__ = (
        "__weakref__",
        "_acquire",
        "_boundary",
        "_guard",
        "_journal",
        "_lock",
        "_parts",
        "_phase",
        "_release",
        "_told_over",
        "_waiting",
        "over",
        "run",
        "url",
    )

    def __init__(self, run: str, url: str, parts: Parts, over: str | None = None) -> None:
        self.run = run
        self.url = url
        self.over = over
        self._parts = parts
        self._journal = parts.journal
        self._boundary = parts.boundary
        self._waiting = parts.boundary.desk.waiting
        self._guard = parts.guard
        self._take_lock(threading.RLock())
        self._phase = _TRAIN
        self._told_over = False

    @property
    def step_number(self) -> int:
        """The number of good steps done: after a rollback, the step that the job is back at."""
        return self._journal.number

    if TYPE_CHECKING:

        def step(
            self,
            loss: Any = None,
            lr: Any = None,
            *,
            grad_norm: Any = None,
            step: Any = None,
            **metrics: Any,
        ) -> StepResult:
            """See below: this signature is for people; docs/decisions/0019 says why."""

    else:

        def step(self, loss=None, lr=None, /, **values):
            """Record one step, once the optimizer has done it; obey a command if one waits.

            Values are numbers or one-element tensors; a tensor on an accelerator is read later, without
            waiting for it. None: not measured. `lr` and `grad_norm` that are not given are read from the
            optimizer that `watch()` got. `step` is counted from 1 unless given; where it goes backwards, a
            new attempt begins. Any other keyword is a metric of that name.
            """
            try:
                self._acquire()  # in here: an interrupt may come as soon as it is done
                if self.over is not None:
                    return self._stray_step()
                if loss is not None:
                    values[LOSS] = loss
                if lr is not None:
                    values[LR] = lr
                self._journal.add(values)
                if self._boundary.attentive or self._waiting:
                    rolled_back = self._boundary.act(self._journal)
                    return StepResult(self._journal.number, rolled_back, self._boundary.stop)
                return StepResult(self._journal.number, False, self._boundary.stop)
            except Exception as error:  # noqa: BLE001  (the job comes first: this is the outermost guard)
                self._journal.abandon()
                self._guard.caught("step", error)
                return StepResult(self._journal.number, False, self._boundary.stop)
            except BaseException:
                if self._lock._is_owned():  # type: ignore[attr-defined]
                    self._journal.abandon()
                raise
            finally:
                try:  # noqa: SIM105  (any call before this one might be interrupted, and the lock kept)
                    self._release()
                except RuntimeError:  # the wait for the lock was interrupted
                    pass

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say that the block is not training, such as `eval` or `checkpoint`: its time is not a step's."""
        before, began = self._phase, perf_counter()
        self._enter_phase(str(name))
        try:
            yield
        finally:
            self._journal.pause(perf_counter() - began)
            self._enter_phase(before)

    def record(self, /, **metrics: Any) -> None:
        """Record values that belong to the last step but are known only now, such as an evaluation's."""
        with self._guard.shield("record"), self._lock:
            if self.over is None:
                self._journal.add_beside(metrics)

    def checkpoint_saved(self, path: object) -> None:
        """Say that a checkpoint of the state after the last step is at `path`: a restart can go back to it.

        Looks at every parameter once: one that holds a NaN makes it a checkpoint not to go back to.
        """
        with self._guard.shield("checkpoint_saved"), self._lock:
            if self.over is None:
                self._parts.checkpoints.tell(self._journal, str(path))

    def close(self) -> None:
        """End the run as finished and send what is left, for a few seconds at most; once is enough."""
        self.end("finished")

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, trace
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.end("finished")
        else:
            self.end("failed", reason_of(error))

    def __deepcopy__(self, _memo: object = None) -> Watch:
        """Return the same: the copy of a model that holds it, as for averaged weights, is no other run."""
        return self

    __copy__ = __deepcopy__

    def __reduce__(self) -> tuple[Callable[[str], Watch], tuple[str]]:
        """Be pickled, with what holds it, as a watch that records nothing: a ring is one process's."""
        from trimtab.inert import unpickled

        return unpickled, (self.run,)

    def begin(self, fields: dict[str, Any]) -> None:
        """Say that the process has begun: the first event of its log."""
        with self._guard.shield("begin"), self._lock:
            self._journal.tell(wire.RUN_START, **fields)

    def end(
        self, status: Status, reason: str | None = None, seconds: float | None = None, by_signal: bool = False
    ) -> None:
        """End the run; `by_signal`: a signal handler asks, and may have interrupted a step."""
        seconds = self._parts.close_seconds if seconds is None else seconds
        deadline = perf_counter() + seconds
        if not self._finish(status, reason, min(LATE_SECONDS, 0.2 * seconds)):
            return
        with self._guard.shield("close"):
            self._parts.let_go()
        with self._guard.shield("close"):
            self._parts.path.close(max(_LEAST_SECONDS, deadline - perf_counter()), keep_ring=by_signal)

    def abandon(self) -> None:
        """Become inert in a forked child: ring, spool and threads are the parent's."""
        self._take_lock(threading.RLock())  # a thread that is not here may hold the other one
        self._retire("this process is a fork of the one that called trimtab.watch(); call it here too")
        self._parts.path.abandon()

    def take_commands(self, commands: tuple[Command, ...]) -> None:
        """Take commands of the collector's, on the sender's thread."""
        self._boundary.desk.put(commands)

    def ballot(self, command: Command) -> Ballot:
        """Vote on a command that all ranks must obey together."""
        with self._lock:
            reason = self.over or self._boundary.desk.refusal(command, self._journal.attempt)
            return Ballot(reason, self._boundary.held())

    def hold(self, order: Order) -> int:
        """Put an order in the way of the next step; return that step, which waits until it is settled."""
        with self._lock:
            order.hold_at = self._journal.number + 1
            self._waiting.append(order)
            return order.hold_at

    def poll(self) -> bool:
        """Write down values that have arrived from a device; True: call again soon.

        On the drainer's thread, so that the last step of a job that hangs in the next one is seen. What it
        asks of devices it asks without the lock, and it holds that for a few rows at a time: a step that
        comes meanwhile waits for no more.
        """
        again = self._journal.under_way and self._journal.fetch()
        while self._journal.has_arrived and self._lock.acquire(blocking=False):
            try:
                self._journal.write_arrived(_ROWS_AT_ONCE)
            finally:
                self._lock.release()
        own = self._parts.own_time.take()
        if own is not None and self._lock.acquire(blocking=False):
            try:
                if self.over is None:
                    self._journal.add_beside({wire.OWN_SECONDS: own})
            finally:
                self._lock.release()
        return again or self._journal.under_way

    def _finish(self, status: Status, reason: str | None, late_seconds: float) -> bool:
        """Write the run's end down; False: it was before, or a step that never ends is in the way."""
        if not self._lock.acquire(timeout=LATE_SECONDS):
            LOG.warning("trimtab: run %s is not closed: another thread is inside step()", self.run)
            return False
        try:
            if self.over is not None:
                return False
            with self._guard.shield("close"):
                self._journal.finish(late_seconds)
                self._journal.tell(wire.RUN_END, status=status, reason=reason)
            self._retire("it was closed")
            return True
        finally:
            self._lock.release()

    def _take_lock(self, lock: threading.RLock) -> None:
        """Use this lock; its methods are kept at hand, as `with` takes twice as long."""
        self._lock = lock
        self._acquire, self._release = lock.acquire, lock.release

    def _retire(self, because: str) -> None:
        self.over = because
        self._boundary.retire()

    def _stray_step(self) -> StepResult:
        self._journal.number += 1
        if not self._told_over:
            self._told_over = True
            LOG.warning("trimtab: step() of run %s is ignored: %s", self.run, self.over)
        return StepResult(self._journal.number, False, self._boundary.stop)

    def _enter_phase(self, name: str) -> None:
        with self._guard.shield("phase"), self._lock:
            self._phase = name
            if self.over is None:
                self._journal.tell(wire.PHASE, phase=name)
