"""Batches that wait for the collector, in order, in files that outlive the process.

A batch gets its identity (attempt, seq) when it is appended here, so it can be sent any number of times and
counts once. Files are cut in segments; a segment is deleted when the collector has confirmed all of it.

    segment   spool-<number>.seg, records one after the other
    record    crc32 of all that follows | length of the body | rows | attempt | seq | ring end | body
    acked     number of the segment and offset in it up to which all is confirmed, and their crc32

Nothing is fsynced: the page cache outlives the process, and a training job must not wait for a disk.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

_HEAD: Final = struct.Struct("<IIIqqQ")
_CRC: Final = struct.Struct("<I")
_ACKED: Final = struct.Struct("<QQI")
ACKED: Final = "acked"
_SEGMENTS: Final = 16


@dataclass(frozen=True, slots=True)
class SpoolRecord:
    """One batch as it is sent: `body` in MessagePack, `ring_end` the ring's position that it covers."""

    attempt: int
    seq: int
    rows: int
    ring_end: int
    body: bytes

    def head(self) -> bytes:
        """Return what stands before the body in a segment."""
        head = _HEAD.pack(0, len(self.body), self.rows, self.attempt, self.seq, self.ring_end)[_CRC.size :]
        return _CRC.pack(zlib.crc32(self.body, zlib.crc32(head))) + head


def read_at(descriptor: int, offset: int, size: int) -> tuple[SpoolRecord, int] | None:
    """Return the record at `offset` of a segment of `size` bytes, and where it ends.

    None: there is none, or it is torn.
    """
    if offset + _HEAD.size > size:
        return None
    head = os.pread(descriptor, _HEAD.size, offset)
    crc, length, rows, attempt, seq, ring_end = _HEAD.unpack(head)
    body, end = offset + _HEAD.size, offset + _HEAD.size + length
    if end > size:
        return None
    data = os.pread(descriptor, length, body)
    if len(data) < length or zlib.crc32(data, zlib.crc32(head[_CRC.size :])) != crc:
        return None
    return SpoolRecord(attempt, seq, rows, ring_end, data), end


class Spool(Protocol):
    """Batches in order: one thread appends, another takes the first and confirms it."""

    def append(self, record: SpoolRecord) -> None:
        """Put a batch at the end; raises OSError where it cannot be kept."""

    def first(self) -> SpoolRecord | None:
        """Return the oldest batch that is not confirmed."""

    def confirm(self) -> None:
        """The collector has the first batch, or will never take it: forget it."""

    def expire(self) -> int:
        """Forget what has waited for too long; return how many steps that were."""

    @property
    def full(self) -> bool:
        """Tell whether the bound is reached: rows must be dropped now, events still fit."""


class MemorySpool:
    """Batches in memory, about `capacity` bytes: for where there is no disk. They die with the process."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._records: deque[SpoolRecord] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def append(self, record: SpoolRecord) -> None:
        """Put a batch at the end."""
        with self._lock:
            self._records.append(record)
            self._bytes += len(record.body)

    def first(self) -> SpoolRecord | None:
        """Return the oldest batch that is not confirmed."""
        with self._lock:
            return self._records[0] if self._records else None

    def confirm(self) -> None:
        """Forget the first batch."""
        with self._lock:
            self._bytes -= len(self._records.popleft().body)

    def expire(self) -> int:
        """Forget nothing: this is bounded in bytes only."""
        return 0

    @property
    def rows(self) -> int:
        """How many steps wait here."""
        with self._lock:
            return sum(record.rows for record in self._records)

    @property
    def full(self) -> bool:
        """Tell whether the bound is reached."""
        return self._bytes >= self._capacity


class FileSpool:
    """Batches in segment files of one folder; see the module for the layout.

    `capacity` (bytes) is what `full` compares with; nothing is refused for it. `keep_seconds` is how long a
    batch may wait.
    """

    def __init__(self, folder: Path, capacity: int, keep_seconds: float = math.inf) -> None:
        self._folder = folder
        self._capacity = capacity
        self._keep_seconds = keep_seconds
        self._segment_bytes = max(capacity // _SEGMENTS, 64 * 1024)
        self._lock = threading.Lock()
        numbers = _segment_numbers(folder)
        self._sizes = {number: _segment(folder, number).stat().st_size for number in numbers}
        self._reading, self._offset = read_acked(folder)
        # Never after a tail that may be torn, nor under a number whose end is confirmed already.
        self._writing = max((*numbers, self._reading)) + 1
        self._next: tuple[SpoolRecord, int] | None = None

    def append(self, record: SpoolRecord) -> None:
        """Put a batch at the end, by one write; what a failed write left is cut off again.

        Raises:
            OSError: the disk is full, or gone.
        """
        head = record.head()
        with self._lock:
            if self._sizes.get(self._writing, 0) >= self._segment_bytes:
                self._writing += 1
            before = self._sizes.get(self._writing, 0)
            _write_at(_segment(self._folder, self._writing), before, head, record.body)
            self._sizes[self._writing] = before + len(head) + len(record.body)

    def first(self) -> SpoolRecord | None:
        """Return the oldest batch that is not confirmed; what is torn is stepped over."""
        with self._lock:
            while self._next is None and self._reading <= self._writing:
                self._next = self._read()
                if self._next is None and not self._next_segment():
                    break
            return self._next[0] if self._next is not None else None

    def confirm(self) -> None:
        """Forget the first batch; a segment that is confirmed in full is deleted."""
        with self._lock:
            assert self._next is not None, "confirm() follows first()"
            self._offset = self._next[1]
            self._next = None
            if self._offset >= self._sizes.get(self._reading, 0) and self._reading < self._writing:
                self._next_segment()
            self._write_acked()

    @property
    def full(self) -> bool:
        """Tell whether the segments, less what is confirmed, have reached the capacity."""
        with self._lock:
            return sum(self._sizes.values()) - self._offset >= self._capacity

    def records(self) -> Iterator[SpoolRecord]:
        """Read every record that is still in a segment, confirmed ones too."""
        for number in _segment_numbers(self._folder):
            yield from self._in_segment(number, 0)

    def expire(self) -> int:
        """Delete the segments that nothing was written to for longer than is kept; return their steps.

        For the thread that sends; the segment that is written to stays.
        """
        steps = 0
        with self._lock:
            while self._reading < self._writing and self._is_stale(self._reading):
                steps += sum(record.rows for record in self._in_segment(self._reading, self._offset))
                self._next = None
                self._next_segment()
                self._write_acked()
        return steps

    def _is_stale(self, number: int) -> bool:
        try:
            written = _segment(self._folder, number).stat().st_mtime
        except OSError:
            return False
        return time.time() - written > self._keep_seconds

    def _in_segment(self, number: int, offset: int) -> Iterator[SpoolRecord]:
        with _segment(self._folder, number).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            found = read_at(file.fileno(), offset, size)
            while found is not None:
                yield found[0]
                found = read_at(file.fileno(), found[1], size)

    def _read(self) -> tuple[SpoolRecord, int] | None:
        size = self._sizes.get(self._reading, 0)
        if self._offset + _HEAD.size > size:
            return None
        with _segment(self._folder, self._reading).open("rb") as file:
            return read_at(file.fileno(), self._offset, size)

    def _next_segment(self) -> bool:
        """Go on to the next segment, deleting this one; False: this is the last."""
        if self._reading >= self._writing:
            return False
        with contextlib.suppress(OSError):
            _segment(self._folder, self._reading).unlink()
        self._sizes.pop(self._reading, None)
        self._reading += 1
        self._offset = 0
        return True

    def _write_acked(self) -> None:
        """Write the position down; failing to is harmless, as what is sent twice is counted once."""
        position = struct.pack("<QQ", self._reading, self._offset)
        with contextlib.suppress(OSError):
            _write_at(self._folder / ACKED, 0, position + _CRC.pack(zlib.crc32(position)))


def read_acked(folder: Path) -> tuple[int, int]:
    """Return the segment and the offset in it up to which all is confirmed."""
    first = min(_segment_numbers(folder), default=0)
    try:
        raw = (folder / ACKED).read_bytes()
    except FileNotFoundError:
        return first, 0
    if len(raw) != _ACKED.size or zlib.crc32(raw[:16]) != _ACKED.unpack(raw)[2]:
        return first, 0
    number, offset, _ = _ACKED.unpack(raw)
    return (number, offset) if number >= first else (first, 0)


def _segment(folder: Path, number: int) -> Path:
    return folder / f"spool-{number:08d}.seg"


def _segment_numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("spool-")) for path in folder.glob("spool-*.seg"))


def _write_at(path: Path, offset: int, *pieces: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        place = offset
        for piece in pieces:
            place += _write_all(descriptor, piece, place)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, offset)
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, offset: int) -> int:
    written = 0
    with memoryview(data) as left:
        while written < len(data):
            written += os.pwrite(descriptor, left[written:], offset + written)
    return written
