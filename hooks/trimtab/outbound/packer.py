"""Turns the ring's records into the rows and events of batches: a pure function of what the ring holds.

The same records give the same batches, whoever packs them: the job's own thread, or the process that finds
a dead job's ring. That is what makes it harmless to do twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from trimtab.outbound.giving_way import GiveWay, never
from trimtab.outbound.records import EVENT_KIND, events_in, row_width, rows_in
from trimtab.outbound.ring import Stretch, attempt_of, kind_of
from trimtab.vocabulary import NOT_MEASURED, Batch, Device

MAX_ROWS: Final = 4096
"""Rows of one batch, where it has few columns."""
MAX_BYTES: Final = 2**18
"""Columns of one batch: the collector refuses none for its size, and the job holds no large one in memory."""

Event = Mapping[str, Any]


@dataclass(slots=True)
class Part:
    """Rows and events of one attempt, in the order of the ring; `end` is the position after the last of them.

    `unnamed` counts rows whose set of metrics was never written down, which cannot be told apart any more.
    """

    attempt: int
    end: int
    step: array[int] = field(default_factory=lambda: array("q"))
    time: array[float] = field(default_factory=lambda: array("d"))
    metrics: dict[str, array[float]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    unnamed: int = 0

    def has_room(self, stretch: Stretch, names: Mapping[int, tuple[str, ...]]) -> bool:
        """Tell whether the bounds of a batch leave room for a stretch; every column has a value a row."""
        columns = self.metrics.keys() | names.get(kind_of(stretch.word), ())
        row_bytes = 8 * (len(columns) + 2)
        rows = len(self.step) + (stretch.count if kind_of(stretch.word) != EVENT_KIND else 0)
        return len(self.step) < MAX_ROWS and (not self.step or rows * row_bytes <= MAX_BYTES)

    def add_rows(self, stretch: Stretch, names: tuple[str, ...], give_way: GiveWay = never) -> None:
        """Append rows; a column that one side lacks is filled with "not measured"."""
        before = len(self.step)
        steps, times, columns = rows_in(stretch, names)
        self.step += steps
        self.time += times
        for name, column in zip(names, columns, strict=True):
            give_way()
            if name in self.metrics:
                self.metrics[name].extend(column)
            else:
                self.metrics[name] = _not_measured(before) + column if before else column
        if len(self.metrics) > len(names):
            self._fill(give_way)

    def batch(
        self,
        rank: int,
        seq: int,
        devices: Sequence[Device] = (),
        events: Iterable[Event] = (),
        give_way: GiveWay = never,
    ) -> Batch:
        """Build the batch; a metric that no row measured is left out."""
        blank = _not_measured(len(self.step)).tobytes()
        measured: dict[str, array[float]] = {}
        for name, column in self.metrics.items():
            give_way()
            if column.tobytes() != blank:
                measured[name] = column
        everything = [*self.events, *events]
        return Batch(rank, seq, self.attempt, self.step, self.time, measured, devices, everything)

    def _fill(self, give_way: GiveWay) -> None:
        rows = len(self.step)
        for column in self.metrics.values():
            give_way()
            if len(column) < rows:
                column.extend(_not_measured(rows - len(column)))


def parts(
    stretches: Iterable[Stretch],
    names: Mapping[int, tuple[str, ...]],
    base_attempt: int,
    give_way: GiveWay = never,
) -> Iterator[Part]:
    """Cut what the ring holds into parts of one attempt and of bounded size.

    One has `MAX_ROWS` rows and a stretch at most, and `MAX_BYTES` of columns, or a single row of more.

    The ring counts attempts from 0 in each process; `base_attempt` is the process's first. `give_way` is
    called at each turn of the work.
    """
    part: Part | None = None
    for stretch in (piece for whole in stretches for piece in whole.pieces(MAX_BYTES)):
        attempt = base_attempt + attempt_of(stretch.word)
        if part is not None and (part.attempt != attempt or not part.has_room(stretch, names)):
            yield part
            part = None
        if part is None:
            part = Part(attempt, stretch.end)
        give_way()
        _add(part, stretch, names, give_way)
        part.end = stretch.end
    if part is not None:
        yield part


def _add(part: Part, stretch: Stretch, names: Mapping[int, tuple[str, ...]], give_way: GiveWay) -> None:
    kind = kind_of(stretch.word)
    if kind == EVENT_KIND:
        try:
            part.events.extend(events_in(stretch))
        except msgspec.DecodeError:
            part.unnamed += 1
        return
    known = names.get(kind)
    if known is None or len(known) != row_width(stretch):
        part.unnamed += stretch.count
    else:
        part.add_rows(stretch, known, give_way)


def _not_measured(rows: int) -> array[float]:
    return array("d", [NOT_MEASURED]) * rows
