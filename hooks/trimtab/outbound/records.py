"""What the ring's records say: rows of metrics, of a layout written down once, and events.

    row    step i64 | time f64 | loss | grad_norm | lr | step_seconds | tokens | any other metric, f64 each
    event  length of the payload u64 | payload, MessagePack, filled up with zeros

Every row has the five standard metrics, `NOT_MEASURED` where a step lacks one; sets of names differ only in
what comes after. The numbers of the sets are the kinds of the records, their names stand in the file
`meta.jsonl`.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trimtab.outbound.ring import FRAME_BYTES, Stretch
from trimtab.vocabulary import GRAD_NORM, LOSS, LR, STEP_SECONDS, TOKENS

EVENT_KIND: Final = 1
STANDARD_KIND: Final = 2
"""The kind of rows with the standard metrics only."""

STANDARD_NAMES: Final = (LOSS, GRAD_NORM, LR, STEP_SECONDS, TOKENS)
MAX_SETS: Final = 4096
MAX_SETS_CHARACTERS: Final = 16 * 2**20
"""Of the names of all sets together: each set is written down on the training thread, and kept."""
MAX_EVENT_BYTES: Final = 64 * 1024
MAX_NAME_CHARACTERS: Final = 512
_LENGTH: Final = struct.Struct("=Q")


def is_sendable(name: object) -> bool:
    """Tell whether the collector takes this as a metric's name: one that it refuses spoils a whole batch."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in name)  # these have no UTF-8


@dataclass(frozen=True, slots=True)
class RowLayout:
    """How a row of one set of metrics is packed; `pack_into` takes stamp, word, step, time, values, stamp."""

    kind: int
    names: tuple[str, ...]
    packer: struct.Struct

    @classmethod
    def of(cls, kind: int, names: tuple[str, ...]) -> RowLayout:
        """Build the layout of rows with these names, the standard ones first."""
        return cls(kind, names, struct.Struct(f"=QQqd{len(names)}dQ"))

    @property
    def size(self) -> int:
        """The bytes of one record."""
        return self.packer.size


class MetricSets:
    """The sets of names met so far. `define` writes a new one down before the first row that needs it."""

    def __init__(self, define: Callable[[int, tuple[str, ...]], None]) -> None:
        self._define = define
        self._layouts: dict[tuple[str, ...], RowLayout] = {}
        self._characters = 0
        self.names: dict[int, tuple[str, ...]] = {}
        self.standard = self._add(())

    def layout(self, extra: tuple[str, ...]) -> RowLayout | None:
        """Return the layout of the standard names and those of `extra` that can be sent.

        None: there are too many sets already.
        """
        found = self._layouts.get(extra)
        if found is not None or len(self._layouts) >= MAX_SETS:
            return found
        sent = tuple(name for name in extra if is_sendable(name))
        layout = self._layouts.get(sent)
        if layout is None:
            self._characters += sum(map(len, sent))
            if self._characters > MAX_SETS_CHARACTERS:
                return None
            layout = self._add(sent)
        self._layouts[extra] = layout
        return layout

    def _add(self, extra: tuple[str, ...]) -> RowLayout:
        layout = RowLayout.of(STANDARD_KIND + len(self._layouts), STANDARD_NAMES + extra)
        self._define(layout.kind, layout.names)
        self.names[layout.kind] = layout.names
        self._layouts[extra] = layout
        return layout


def rows_in(
    stretch: Stretch, names: tuple[str, ...]
) -> tuple[array[int], array[float], Iterator[array[float]]]:
    """Return the steps, times and one column a name of a stretch of rows; every bit is kept.

    The columns are cut as they are asked for: ten thousand at once hold the interpreter's lock for long.
    """
    stride = len(stretch.data) // stretch.count // 8
    numbers = array("d", stretch.data)
    columns = (numbers[4 + i :: stride] for i in range(len(names)))
    return array("q", stretch.data)[2::stride], numbers[3::stride], columns


def row_width(stretch: Stretch) -> int:
    """Return how many values each row of a stretch has."""
    return (len(stretch.data) // stretch.count - FRAME_BYTES) // 8 - 2


def event_payload(event: Mapping[str, Any]) -> bytes:
    """Encode an event as the payload of a record.

    Raises:
        ValueError: it is too large for the ring.
    """
    body = msgspec.msgpack.encode(event)
    if len(body) > MAX_EVENT_BYTES:
        raise ValueError(f"event {event.get('kind')!r}: {len(body)} bytes: keep it under {MAX_EVENT_BYTES}")
    return _LENGTH.pack(len(body)) + body + bytes(-len(body) % 8)


def events_in(stretch: Stretch) -> Iterator[dict[str, Any]]:
    """Decode the events of a stretch."""
    size = len(stretch.data) // stretch.count
    for start in range(16, len(stretch.data), size):
        (length,) = _LENGTH.unpack_from(stretch.data, start)
        body = start + _LENGTH.size
        yield msgspec.msgpack.decode(stretch.data[body : body + length], type=dict[str, Any])
