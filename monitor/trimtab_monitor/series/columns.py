"""The columns of one metric of one rank, read from the log's batches and kept up with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from trimtab_monitor.store.protocols import Log

READ_BATCHES: Final = 2048
_NOT_MEASURED_BITS: Final = np.uint64(0x7FF80000000054AB)

Column = npt.NDArray[Any]


class _Body(msgspec.Struct):
    """What of a stored batch a chart needs; the wire checked all of it before it was stored."""

    attempt: int
    step: bytes
    time: bytes
    metrics: dict[str, bytes]


_DECODER: Final = msgspec.msgpack.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Rows:
    """Measured rows of one metric in the order of the log; columns of equal length, Unix seconds."""

    attempt: Column
    step: Column
    time: Column
    value: Column

    def take(self, chosen: Column) -> Rows:
        """Some of the rows, by mask or index."""
        return Rows(self.attempt[chosen], self.step[chosen], self.time[chosen], self.value[chosen])

    def __len__(self) -> int:
        return len(self.step)

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        return sum(column.nbytes for column in (self.attempt, self.step, self.time, self.value))


def no_rows() -> Rows:
    """No rows at all."""
    whole, real = np.empty(0, np.int64), np.empty(0, np.float64)
    return Rows(whole, whole, real, real)


@dataclass(slots=True)
class MetricColumns:
    """The rows of one metric up to log position `position`."""

    metric: str
    position: int = 0
    rows: Rows = field(default_factory=no_rows)

    def catch_up(self, log: Log, run: str, rank: int) -> None:
        """Read what was appended since."""
        parts = [self.rows]
        while records := log.read_batches(run, rank, self.position, READ_BATCHES):
            parts += [part for record in records if (part := _rows(record.body, self.metric)) is not None]
            self.position = records[-1].position
        if len(parts) > 1:
            self.rows = joined(parts)

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        return self.rows.nbytes


def _rows(packed: bytes, metric: str) -> Rows | None:
    body = _DECODER.decode(packed)
    raw = body.metrics.get(metric)
    if not raw:
        return None
    step = np.frombuffer(body.step, "<i8")
    value = np.frombuffer(raw, "<f4" if len(raw) == 4 * len(step) else "<f8").astype(np.float64)
    measured = value.view(np.uint64) != _NOT_MEASURED_BITS
    attempt = np.full(len(step), body.attempt, np.int64)
    return Rows(attempt, step, np.frombuffer(body.time, "<f8"), value).take(measured)


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of all, one after the other."""
    return Rows(
        np.concatenate([part.attempt for part in parts]),
        np.concatenate([part.step for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def newest_attempts(rows: Rows) -> Rows:
    """By step, each once: where attempts overlap the newest counts; within one, what came last."""
    if len(rows) < 2 or bool(np.all(rows.step[1:] > rows.step[:-1])):
        return rows
    ordered = rows.take(np.lexsort((np.arange(len(rows)), rows.attempt, rows.step)))
    is_last = np.append(ordered.step[1:] != ordered.step[:-1], True)
    return ordered.take(is_last)


def all_attempts(rows: Rows) -> Rows:
    """Every row, by attempt and then by step."""
    return rows.take(np.lexsort((np.arange(len(rows)), rows.step, rows.attempt)))
