"""Snapshots of the training state in host memory: the first place that a rollback goes back to.

A snapshot waits for the device while it copies. Its cost is measured: where it takes more than a twentieth
of the time between two, they are taken more seldom. Together they take at most half of the free host
memory.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from trimtab.rewind import host_memory, learning_rate

if TYPE_CHECKING:
    from trimtab.rewind.training_state import State

LOG = logging.getLogger("trimtab")

MAX_TIME_SHARE: Final = 0.05
"""The largest part of the training time that snapshots may take before they are taken more seldom."""
MAX_MEMORY_SHARE: Final = 0.5
"""The largest part of the free host memory that the snapshots of all ranks on a host may take."""
_MIB: Final = 2**20


class SnapshotError(RuntimeError):
    """A snapshot cannot be taken or gone back to; says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of one snapshot: the state after `step`; `finite` says that it may be gone back to."""

    id: str
    step: int
    finite: bool
    seconds: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Held:
    snapshot: Snapshot
    state: State


class Snapshots(Protocol):
    """What a rollback needs of a store of snapshots."""

    every: int

    def maybe_take(self, step: int) -> Snapshot | None:
        """Take a snapshot of the state after `step` if one is due."""

    def steps(self) -> list[int]:
        """Return the steps that can be gone back to, oldest first."""

    def restore(self, step: int, lr_factor: float = 1.0) -> Snapshot:
        """Put the state after `step` back, with its learning rates multiplied by `lr_factor`."""

    def drop_after(self, step: int) -> None:
        """Forget the snapshots of later steps."""

    def scale_lr(self, factor: float) -> None:
        """Multiply the live learning rates by `factor`."""


class NullSnapshots:
    """Stands in where rollback is off: takes nothing, refuses to go back."""

    every = 0

    def maybe_take(self, step: int) -> None:
        """Take nothing."""

    def steps(self) -> list[int]:
        """Return no step."""
        return []

    def restore(self, step: int, lr_factor: float = 1.0) -> Snapshot:
        """Refuse."""
        what = f"step {step}, learning rate times {lr_factor:g}"
        raise SnapshotError(f"{what}: no snapshots are kept; call trimtab.watch with rollback='auto'")

    def drop_after(self, step: int) -> None:
        """Do nothing: there are none."""

    def scale_lr(self, factor: float) -> None:
        """Refuse."""
        raise SnapshotError(
            f"lr_factor {factor}: no optimizer is held; call trimtab.watch with rollback='auto'"
        )


class SnapshotStore:
    """The newest `keep` healthy snapshots, one every `every` steps.

    `model`, `optimizer` and `scheduler` are one object, a list of them, or None. A snapshot with a NaN or
    an infinite weight is never kept. A run that goes back draws the same random numbers again; its data
    goes on from where it is, so the batches that led to the trouble are not seen twice.

    `stretch=False` keeps `every` as it is whatever a snapshot costs: ranks that act together need the same
    steps.

    Raises:
        ValueError: there is neither model nor optimizer, or `every` or `keep` is below 1.
    """

    def __init__(
        self,
        model: Any = None,
        optimizer: Any = None,
        scheduler: Any = None,
        scaler: Any = None,
        *,
        every: int = 25,
        keep: int = 4,
        stretch: bool = True,
        clock: Callable[[], float] = time.perf_counter,
        available_bytes: Callable[[], int] = host_memory.available_bytes,
    ) -> None:
        from trimtab.rewind.training_state import TrainingState  # brings torch, which the job has by now

        if model is None and optimizer is None:
            raise ValueError("rollback: model and optimizer are None: pass at least one to trimtab.watch")
        for name, value in (("every", every), ("keep", keep)):
            if value < 1:
                raise ValueError(f"{name}: {value!r}: give 1 or more")
        self.every = every
        self._live = TrainingState(model, optimizer, scheduler, scaler)
        self._keep = keep
        self._stretch = stretch
        self._clock = clock
        self._available_bytes = available_bytes
        self._next = every
        self._held: list[_Held] = []
        self._spare: list[State] = []
        self._taken = 0
        self._offered = 0
        self._last: tuple[float | None, float] = (None, 0.0)  # the end and the cost of the one before
        self._told_stretch = False
        self._told_bad = False

    def maybe_take(self, step: int) -> Snapshot | None:
        """Take a snapshot of the state after `step` if one is due; it is held only if it is finite.

        Raises:
            SnapshotError: none can be taken here: parameters are sharded, or the memory is short. It is
                raised once.
        """
        before, self._offered = self._offered, step
        if step < before:  # the job has gone back by itself: what is held from here on is of another course
            self._due_after(step - 1)
        if step < self._next:
            return None
        self._next = step + self.every
        start = self._clock()
        if self._taken == 0:
            self._make_room()
        held = self._take(step, start)
        self._hold(held)
        self._pace(held.snapshot, self._clock())
        return held.snapshot

    def steps(self) -> list[int]:
        """Return the steps that can be gone back to, oldest first."""
        return [held.snapshot.step for held in self._held]

    def restore(self, step: int, lr_factor: float = 1.0) -> Snapshot:
        """Put the state after `step` back in place and forget the later snapshots.

        `lr_factor` multiplies the learning rates that the snapshot holds: twice 0.5 on one snapshot is 0.5.
        Gradients are set to None. If it fails midway, the state from before the call is put back.

        Raises:
            SnapshotError: there is no such snapshot, it does not fit the model any more, or it cannot be
                put back.
        """
        held = next((held for held in self._held if held.snapshot.step == step), None)
        if held is None:
            raise SnapshotError(f"step {step}: no snapshot of it is held; held are {self.steps()}")
        mismatch = self._live.mismatch(held.state)
        if mismatch:
            raise SnapshotError(f"step {step}: the snapshot does not fit: {mismatch}")
        self._put_back(held, lr_factor)
        self._due_after(step)
        return held.snapshot

    def drop_after(self, step: int) -> None:
        """Forget the snapshots of later steps; their buffers are used again."""
        self._spare += [held.state for held in self._held if held.snapshot.step > step]
        self._held = [held for held in self._held if held.snapshot.step <= step]

    def scale_lr(self, factor: float) -> None:
        """Multiply the live learning rates, and what the schedulers start from, by `factor`."""
        learning_rate.scale(self._live.optimizers, self._live.schedulers, factor)

    def _due_after(self, step: int) -> None:
        """Begin anew after `step`."""
        self.drop_after(step)
        self._offered = step
        self._next = step + self.every
        self._last = (None, 0.0)

    def _take(self, step: int, start: float) -> _Held:
        from trimtab.rewind import host_copy, training_state

        state = self._copy_of_now()
        self._taken += 1
        healthy, size = training_state.is_healthy(state), host_copy.size_bytes(state)
        seconds = self._clock() - start
        return _Held(Snapshot(f"memory-{step}-{self._taken}", step, healthy, seconds, size), state)

    def _copy_of_now(self) -> State:
        from trimtab.rewind import host_copy

        copied: State = host_copy.to_host(self._live.read(), self._spare.pop() if self._spare else None)
        return copied

    def _hold(self, taken: _Held) -> None:
        step = taken.snapshot.step
        if not taken.snapshot.finite:
            if not self._told_bad:
                self._told_bad = True
                LOG.warning("trimtab: the state after step %d holds NaN or infinite values: not kept", step)
            self._spare.append(taken.state)
            return
        self._told_bad = False
        self.drop_after(step - 1)
        self._held.append(taken)
        while len(self._held) > self._keep:
            self._spare.append(self._held.pop(0).state)

    def _put_back(self, held: _Held, lr_factor: float) -> None:
        """Write the snapshot, or leave everything as it was: a job must not go on with half of each."""
        before = self._copy_of_now()
        try:
            self._live.write(held.state)
            self.scale_lr(lr_factor)
        except Exception as error:
            self._live.write(before)
            what = f"step {held.snapshot.step}: {type(error).__name__}: {error}"
            raise SnapshotError(f"{what}; the state from before was put back") from error
        finally:
            self._spare.append(before)

    def _make_room(self) -> None:
        """Keep fewer snapshots where the memory is short; one more than is kept has to fit."""
        from trimtab.rewind import host_copy

        if self._live.sharded():
            self._give_up(
                "the parameters are sharded (DTensor); use rollback='advise' and checkpoints on disk"
            )
        size = max(1, host_copy.size_bytes(self._live.read()))
        share = int(self._available_bytes() * MAX_MEMORY_SHARE) // host_memory.processes_on_host()
        fit = share // size - 1
        if fit < 1:
            self._give_up(
                f"two take {2 * size / _MIB:.0f} MiB of host memory and {share / _MIB:.0f} MiB may be used; "
                "free some, or use rollback='advise' and checkpoints on disk"
            )
        if fit < self._keep:
            LOG.warning("trimtab: host memory is short: %d snapshots are kept instead of %d", fit, self._keep)
            self._keep = fit

    def _give_up(self, why: str) -> NoReturn:
        self._next = sys.maxsize
        raise SnapshotError(f"no snapshots are taken: {why}")

    def _pace(self, snapshot: Snapshot, end: float) -> None:
        """Take them more seldom, half as often at most, where they take more than their share of the time."""
        (last_end, last_seconds), self._last = self._last, (end, snapshot.seconds)
        if last_end is None:
            self._tell_cost(snapshot)
            return
        seconds = min(snapshot.seconds, last_seconds)  # one that was held up says nothing of the next
        excess = seconds / max(end - last_end, seconds, 1e-9) / MAX_TIME_SHARE
        if not self._stretch or excess <= 1:
            return
        self.every = math.ceil(self.every * min(excess, 2.0))
        self._next = snapshot.step + self.every
        if not self._told_stretch:
            self._told_stretch = True
            LOG.warning(
                "trimtab: a snapshot takes %.3f s: now one every %d steps", snapshot.seconds, self.every
            )

    def _tell_cost(self, snapshot: Snapshot) -> None:
        if self._taken == 1:
            text = "trimtab: a snapshot takes %.3f s and %.1f MiB of host memory; one every %d steps, %d kept"
            LOG.info(text, snapshot.seconds, snapshot.size_bytes / _MIB, self.every, self._keep)
