"""What one process writes down of its run: steps, attempts and events, in the order in which they happen."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, Final

from trimtab import wire
from trimtab.capture.deferred import DeferredReader
from trimtab.capture.step_values import StepValues, are_numbers
from trimtab.capture.taking import RowValues
from trimtab.guard import Guard, Tally
from trimtab.outbound.packer import Event
from trimtab.outbound.recorder import Recorder
from trimtab.steady_clock import SteadyClock
from trimtab.vocabulary import GRAD_NORM, INT64_MAX, INT64_MIN, LOSS, LR

LOG = logging.getLogger("trimtab")

STEP: Final = "step"
"""The name under which a loop gives the number of a step."""

LATE_SECONDS: Final = 1.0
"""How long the end of an attempt waits for values that are still on a device."""


class Journal:
    """Numbers the steps and writes them and the events to the recorder; one thread at a time.

    `number` is the number of good steps done. `tell_beside` takes an event for which the recorder has no
    room. `on_attempt` is told of a further attempt before anything of it is recorded. `clock` stamps all that
    is written down; it is the one by which the job's devices are read.
    """

    __slots__ = (
        "_base_attempt",
        "_bundles",
        "_deferred",
        "_direct",
        "_drops",
        "_elapsed",
        "_guard",
        "_last_tick",
        "_offset",
        "_on_attempt",
        "_recorder",
        "_tell_beside",
        "_tokens",
        "_values",
        "number",
    )

    def __init__(
        self,
        recorder: Recorder,
        values: StepValues,
        base_attempt: int,
        drops: Tally,
        guard: Guard,
        tell_beside: Callable[[Event], None],
        on_attempt: Callable[[int], None],
        clock: SteadyClock,
    ) -> None:
        self.number = 0
        self._offset, self._elapsed = clock.offset, clock.elapsed
        self._recorder = recorder
        self._values = values
        self._base_attempt = base_attempt
        self._drops = drops
        self._guard = guard
        self._tell_beside = tell_beside
        self._on_attempt = on_attempt
        self._deferred = DeferredReader(drops, wake=recorder.alarm)
        self._tokens = values.tokens
        self._bundles = values.bundles
        self._last_tick = math.nan
        self._direct = False

    @property
    def attempt(self) -> int:
        """The attempt that is being lived."""
        return self._base_attempt + self._recorder.attempt

    def add(self, values: dict[str, Any]) -> None:
        """Write a step down, and use `values` up. Three plain floats go straight to the ring."""
        if self._direct and len(values) == 3 and not self._bundles:
            loss, grad_norm, lr = values.get(LOSS), values.get(GRAD_NORM), values.get(LR)
            if type(loss) is float and type(grad_norm) is float and type(lr) is float:
                tick = perf_counter()
                self.number = number = self.number + 1  # before a signal's handler may step, too
                now = self._offset + self._elapsed()
                self._recorder.standard(
                    number, now, loss, grad_norm, lr, tick - self._last_tick, self._tokens
                )
                self._last_tick = tick
                return
        self._add_any(values)

    def add_beside(self, values: dict[str, Any]) -> None:
        """Write down values of the last step that are known only now, in a row of their own; uses them up."""
        tensors = self._values.read(values)
        self._put(
            RowValues(self.number, self._offset + self._elapsed(), self._recorder.attempt, values, tensors)
        )
        self._direct = self._direct and not self.under_way

    def tell(self, kind: str, **fields: Any) -> None:
        """Write an event down."""
        event = {"kind": kind, "step": self.number, "time": self._offset + self._elapsed(), **fields}
        if not self._recorder.event(event):
            self._tell_beside(event)
        if kind == wire.COMMAND_APPLIED:
            self._recorder.alarm()

    def begin_attempt(self, at_step: int | None = None) -> None:
        """Begin the next attempt; `at_step` good steps are done, if given."""
        self.finish(LATE_SECONDS)
        with self._guard.shield("attempt"):
            self._on_attempt(self.attempt + 1)
        self._recorder.attempt += 1
        if at_step is not None:
            self.number = at_step
            self._last_tick = perf_counter()

    def pause(self, seconds: float) -> None:
        """Leave so many seconds out of the duration of the step under way: it was not training."""
        self._last_tick += seconds

    def fetch(self) -> bool:
        """Talk to the devices, on any thread, beside the steps; never waits. True: call again soon."""
        return self._deferred.fetch()

    def write_arrived(self, most: int) -> None:
        """Write down steps whose values have arrived from a device, so many at most."""
        self._write(self._deferred.ready(most))

    def finish(self, seconds: float) -> None:
        """Wait so many seconds at most for values that are still on a device."""
        self._write(self._deferred.finish(seconds))

    @property
    def under_way(self) -> bool:
        """Whether some steps are not written down, as values are on a device or have just come from it."""
        return len(self._deferred) > 0

    @property
    def has_arrived(self) -> bool:
        """Whether the values of the oldest of them have come."""
        return self._deferred.has_arrived

    def abandon(self) -> None:
        """Forget a record whose writing was interrupted."""
        self._recorder.abandon()

    def _add_any(self, values: dict[str, Any]) -> None:
        tick, now = perf_counter(), self._offset + self._elapsed()
        number = self._take_number(values.pop(STEP, None))
        seconds = wire.NOT_MEASURED if math.isnan(self._last_tick) else tick - self._last_tick
        self._last_tick = tick
        standard = self._values.standard(values, seconds)
        bundles = self._values.take_bundles(values)
        tensors = self._values.read(standard)
        under_way = tensors or bundles or self.under_way
        if under_way or not self._recorder.plain(number, now, standard, values):
            plain = not under_way and are_numbers(values.values())
            tensors |= self._values.read(values)
            self._put(
                RowValues(number, now, self._recorder.attempt, standard | values, tensors, bundles),
                plain,
            )
        self._direct = self._values.standard_only and not self.under_way

    def _put(self, row: RowValues, plain: bool = False) -> None:
        """Write a row of the last step, or keep it until its values have arrived from a device."""
        if row.tensors or row.bundles or self.under_way:
            self._deferred.submit(row)
        else:
            self._recorder.row(row.step, row.time, row.values, plain)

    def _write(self, rows: Iterable[RowValues]) -> None:
        for row in rows:
            self._recorder.row(row.step, row.time, row.values)

    def _take_number(self, step: Any) -> int:
        """Return the number of the step under way, which no other row takes, of a signal's handler either."""
        given = None if step is None else self._whole(step)
        if given is None:
            self.number = number = self.number + 1
            return number
        if given < self.number:
            LOG.info("trimtab: step went from %d back to %d: a new attempt begins", self.number, given)
            self.begin_attempt()
        self.number = given
        return given

    def _whole(self, step: Any) -> int | None:
        on_host = getattr(
            step, "is_cpu", True
        )  # to read the number of a step from a device would wait for it
        try:
            number = operator.index(step.item() if hasattr(step, "item") else step) if on_host else None
        except (TypeError, ValueError, RuntimeError):
            number = None
        if number is not None and INT64_MIN <= number <= INT64_MAX:
            return number
        if self._drops.count("step is not an integer of 64 bits", type(step).__name__):
            shown = repr(step) if on_host else "a tensor on a device"
            LOG.warning("trimtab: step=%s: give an integer; the step is counted instead", shown)
        return None
