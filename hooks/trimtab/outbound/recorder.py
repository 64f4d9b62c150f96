"""The training thread's end of the data path: packs rows and events into the ring."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from trimtab.guard import Tally
from trimtab.outbound.records import (
    EVENT_KIND,
    MAX_NAME_CHARACTERS,
    STANDARD_NAMES,
    MetricSets,
    RowLayout,
    event_payload,
    is_sendable,
)
from trimtab.outbound.ring import FRAME_BYTES, MAX_ATTEMPT, word_of
from trimtab.outbound.ring_writer import REENTERED, RingWriter
from trimtab.vocabulary import GRAD_NORM, LOSS, NOT_MEASURED, is_measured

LOG = logging.getLogger("trimtab")

TOO_MANY_SETS: Final = "too many different sets of metric names"
BAD_NAME: Final = "a metric's name cannot be sent"
_STANDARD: Final = frozenset(STANDARD_NAMES)
_LOWEST: Final = -math.inf


class Recorder:
    """Writes rows and events to the ring; calls come from one thread at a time.

    `alarm` is called when loss or gradient norm is not finite or reaches its limit, which others set.
    `attempt` counts from 0 in this process.
    """

    __slots__ = (
        "_attempt",
        "_drops",
        "_pack_standard",
        "_plain",
        "_plain_names",
        "_sets",
        "_standard_size",
        "_standard_word",
        "_writer",
        "alarm",
        "grad_norm_limit",
        "loss_limit",
    )

    def __init__(self, writer: RingWriter, sets: MetricSets, drops: Tally, alarm: Callable[[], None]) -> None:
        self._writer = writer
        self._sets = sets
        self._drops = drops
        self.alarm = alarm
        self._pack_standard = sets.standard.packer.pack_into
        self._standard_size = sets.standard.size
        self._plain: RowLayout = sets.standard
        self._plain_names: tuple[str, ...] | None = None
        self.loss_limit = math.inf
        self.grad_norm_limit = math.inf
        self.attempt = 0

    @property
    def attempt(self) -> int:
        """The attempt that rows and events belong to from now on."""
        return self._attempt

    @attempt.setter
    def attempt(self, attempt: int) -> None:
        self._attempt = min(attempt, MAX_ATTEMPT)
        self._standard_word = self._word(self._sets.standard)

    def standard(
        self, step: int, time: float, loss: float, grad_norm: float, lr: float, seconds: float, tokens: float
    ) -> None:
        """Write a row of the standard metrics: the fast path, so all must be floats and `step` 64 bits.

        It does what the writer's `reserve` and `publish` do without calling them.
        """
        writer = self._writer
        head = writer.head
        end = head + self._standard_size
        if end > writer.safe or writer.busy:
            self._standard_slowly(step, time, loss, grad_norm, lr, seconds, tokens)
        else:
            writer.busy = True
            self._pack_standard(
                writer.memory,
                head + writer.base,
                head,
                self._standard_word,
                step,
                time,
                loss,
                grad_norm,
                lr,
                seconds,
                tokens,
                head,
            )
            writer.head = writer.head_slot[0] = end
            writer.busy = False
        if not (_LOWEST < loss < self.loss_limit and _LOWEST < grad_norm < self.grad_norm_limit):
            self.alarm()

    def plain(self, step: int, time: float, standard: Mapping[str, float], extra: dict[str, Any]) -> bool:
        """Write a row whose other metrics are numbers, and have the names of the last `row` that was plain.

        False: they are not; nothing was written, `row` has to do it. Python's own numbers add up to a float,
        and nothing else tells a thousand of them from tensors in as little time.
        """
        if tuple(extra) != self._plain_names:
            return False
        try:
            if not isinstance(sum(extra.values(), 0.0), float):
                return False
        except Exception:  # noqa: BLE001  (a value runs its own code: `row` says what is wrong with it)
            return False
        columns = [standard.get(name, NOT_MEASURED) for name in STANDARD_NAMES]
        self._pack(self._plain, step, time, (*columns, *extra.values()))
        if self._is_urgent(standard):
            self.alarm()
        return True

    def row(self, step: int, time: float, values: Mapping[str, float], plain: bool = False) -> None:
        """Write a row of any metrics; one that the row lacks of the standard ones is not measured.

        `plain`: the next row may well have the same names, and numbers again.
        """
        extra = tuple(name for name in values if name not in _STANDARD)
        layout = self._sets.layout(extra)
        if layout is None:
            layout = self._standard_only()
        elif len(layout.names) - len(STANDARD_NAMES) < len(extra):
            self._count_refused(extra)
        elif plain:
            self._plain, self._plain_names = layout, extra
        self._pack(layout, step, time, [values.get(name, NOT_MEASURED) for name in layout.names])
        if self._is_urgent(values):
            self.alarm()

    def _standard_only(self) -> RowLayout:
        """Return the layout of a row whose other names there is no room for any more: its loss goes on."""
        if self._drops.count(TOO_MANY_SETS):
            LOG.warning(
                "trimtab: %s: of such rows only loss, gradient norm, learning rate and times are kept, and "
                "they are counted: give the same metric names at each step, None where one is not measured",
                TOO_MANY_SETS,
            )
        return self._sets.standard

    def event(self, event: Mapping[str, Any]) -> bool:
        """Write an event; False: it has to go another way, there is no room here.

        Raises:
            ValueError: it is too large.
        """
        payload = event_payload(event)
        size = FRAME_BYTES + len(payload)
        place = self._writer.reserve(size)
        if place < 0:
            return False
        head, memory = self._writer.head, self._writer.memory
        stamp = head.to_bytes(8, sys.byteorder)
        word = word_of(size, EVENT_KIND, self._attempt).to_bytes(8, sys.byteorder)
        memory[place : place + size] = stamp + word + payload + stamp
        self._writer.publish(size)
        return True

    def abandon(self) -> None:
        """Forget a record whose writing was interrupted."""
        self._writer.abandon()

    def _standard_slowly(self, step: int, time: float, *values: float) -> None:
        self._pack(self._sets.standard, step, time, values)

    def _pack(self, layout: RowLayout, step: int, time: float, values: Iterable[float]) -> None:
        writer = self._writer
        place = writer.reserve(layout.size)
        if place >= 0:
            head = writer.head
            layout.packer.pack_into(writer.memory, place, head, self._word(layout), step, time, *values, head)
            writer.publish(layout.size)
        elif place == REENTERED:
            self._reentered()

    def _word(self, layout: RowLayout) -> int:
        return word_of(layout.size, layout.kind, self._attempt)

    def _is_urgent(self, values: Mapping[str, float]) -> bool:
        loss, grad_norm = values.get(LOSS, NOT_MEASURED), values.get(GRAD_NORM, NOT_MEASURED)
        return _beyond(loss, self.loss_limit) or _beyond(grad_norm, self.grad_norm_limit)

    def _reentered(self) -> None:
        self._count("step() called by a signal handler inside step()", "call it in the training loop only")

    def _count_refused(self, extra: tuple[str, ...]) -> None:
        names = [name for name in extra if not is_sendable(name)]
        if self._drops.count(BAD_NAME, by=len(names)):
            LOG.warning(
                "trimtab: %s: %.80r: the value is dropped and counted: use a text of 1 to %d characters",
                BAD_NAME,
                names[0],
                MAX_NAME_CHARACTERS,
            )

    def _count(self, reason: str, remedy: str) -> None:
        if self._drops.count(reason):
            LOG.warning("trimtab: %s: a row is dropped and counted: %s", reason, remedy)


def _beyond(value: float, limit: float) -> bool:
    return not _LOWEST < value < limit and is_measured(value)
