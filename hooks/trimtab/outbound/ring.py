"""A ring of records in memory that outlives its process: one writer, one reader, no lock between them.

The ring is a file mapped into memory, so what is in it survives the death of the process (not of the
machine). The writer packs a record, then publishes it by moving `head`, one aligned store of 8 bytes: a
record is either there in full or not at all. The reader moves `tail` once what it read is safe elsewhere.

    file    header (one page), then `capacity` bytes
    header  magic, version, capacity; head, tail and the few numbers in `Slot`; the folder that it belongs to
    record  stamp u64 | word u64 | payload, a multiple of 8 bytes | stamp u64

A position is a count of bytes since the ring was made; it never wraps, the place in the file does. A
record's stamp is its own position, before and after: what a torn page or an older lap left behind does not
match. The word holds the record's size, kind and attempt.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

PAGE: Final = 4096
_MAGIC: Final = b"TRIMRING"
_VERSION: Final = 1
_PREAMBLE: Final = struct.Struct("=8sQQ")
FRONT: Final = struct.Struct("=QQ")
"""A record's stamp and word."""
_HOME: Final = slice(PAGE // 2, PAGE)
FRAME_BYTES: Final = 24
"""Stamp, word and stamp."""

PAD: Final = 0
"""The kind of record that fills the end of a lap."""

MAX_KIND: Final = 2**16 - 1
MAX_ATTEMPT: Final = 2**16 - 1
_SIZE_MASK: Final = 2**32 - 1
_FIRST_GUESS: Final = 16
_LARGEST_STRETCH: Final = 4096
_LARGEST_STRETCH_BYTES: Final = 2**17
"""So that no single look at columns holds the interpreter's lock for long."""

RING_FULL: Final = "the ring was full: steps came faster than they could be packed"
"""The reason for which records that found no room were dropped."""

NOT_KEPT: Final = "neither the collector nor the disk took them before the job ended"
"""The reason for which steps were lost at a job's end."""


class Slot(IntEnum):
    """Where in the header each number stands, in units of 8 bytes."""

    HEAD = 8
    TAIL = 16
    ATTEMPT = 17
    """The attempt of the newest batch that was packed from the ring."""
    NEXT_SEQ = 18
    """The seq of the next batch of that attempt."""
    ENDED = 19
    """1 once the run's end has been told."""
    DROPPED = 24
    """Records that found no room."""
    DROPPED_TOLD = 25
    NOT_KEPT = 26
    """Steps that were in memory at the end, and went neither to the collector nor to the disk."""


def word_of(size: int, kind: int, attempt: int) -> int:
    """Pack a record's size in bytes, kind and attempt in one number."""
    return size | kind << 32 | attempt << 48


def kind_of(word: int) -> int:
    """Return the kind of record that a word tells."""
    return word >> 32 & MAX_KIND


def attempt_of(word: int) -> int:
    """Return the attempt that a word tells."""
    return word >> 48


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of the same size, kind and attempt that follow each other: `count` of them in `data`.

    `end` is the position after the last one.
    """

    word: int
    count: int
    end: int
    data: bytes

    def pieces(self, most_bytes: int) -> Iterator[Stretch]:
        """Cut it into stretches of at most `most_bytes`, or of one record where that is larger."""
        size = len(self.data) // self.count
        most = max(most_bytes // size, 1)
        for first in range(0, self.count, most):
            count = min(most, self.count - first)
            end = self.end - (self.count - first - count) * size
            yield Stretch(self.word, count, end, self.data[first * size : (first + count) * size])


class RingError(ValueError):
    """A file that is no ring, or a damaged one."""


class RingVersionError(RingError):
    """A ring of another version: for a Trimtab of that version to read."""


class UnfinishedRingError(RingError):
    """A ring that was being made when its process died: nothing was written there."""


class Ring:
    """The mapped memory and the numbers in its header; see the module for the layout."""

    def __init__(self, memory: mmap.mmap, capacity: int) -> None:
        self.memory = memory
        self.capacity = capacity
        self._header = memoryview(memory)[:PAGE].cast("Q")

    @classmethod
    def create(cls, path: Path, capacity: int, touched: bool = True) -> Ring:
        """Make a ring file; its blocks are reserved, so that a full disk cannot kill the job later.

        `touched`: its pages are mapped now, so that the first lap takes no page fault in the training thread.

        Raises:
            OSError: there is no room, or the file system cannot map files.
        """
        capacity = _whole_pages(capacity)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, PAGE + capacity)
            memory = mmap.mmap(descriptor, PAGE + capacity)
            with suppress(OSError):  # held for as long as the memory is mapped, which keeps the file open
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        return cls._new(memory, capacity, touched)

    @classmethod
    def anonymous(cls, capacity: int) -> Ring:
        """Make a ring that dies with the process, for where no file can be had."""
        capacity = _whole_pages(capacity)
        return cls._new(mmap.mmap(-1, PAGE + capacity), capacity, touched=True)

    @classmethod
    def _new(cls, memory: mmap.mmap, capacity: int, touched: bool) -> Ring:
        if touched:
            _touch(memory)
        _PREAMBLE.pack_into(memory, 0, _MAGIC, _VERSION, capacity)
        return cls(memory, capacity)

    @classmethod
    def open(cls, path: Path) -> Ring:
        """Map the ring that another process left behind.

        Raises:
                RingError: the file is no ring, or a damaged one.
            RingVersionError: it is one of another version.
            UnfinishedRingError: its process died while it made it; nothing was written there.
        """
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                raise UnfinishedRingError(f"{path}: an empty ring file")
            if size < 2 * PAGE:
                raise RingError(f"{path}: {size} bytes: not a ring file of Trimtab")
            memory = mmap.mmap(file.fileno(), 0)
        magic, version, capacity = _PREAMBLE.unpack_from(memory, 0)
        if magic == _MAGIC and version != _VERSION:
            raise RingVersionError(f"{path}: a ring file of version {version}; this Trimtab reads {_VERSION}")
        if magic == bytes(len(_MAGIC)) and not any(memory[:PAGE]):
            raise UnfinishedRingError(f"{path}: a ring file whose header was never written")
        if magic != _MAGIC or PAGE + capacity != size or capacity % PAGE:
            raise RingError(f"{path}: not a ring file of Trimtab, or a damaged one")
        return cls(memory, capacity)

    def __getitem__(self, slot: Slot) -> int:
        return self._header[slot]

    def __setitem__(self, slot: Slot, value: int) -> None:
        self._header[slot] = value

    def note_home(self, folder: Path) -> None:
        """Note the folder that the ring belongs to; one whose name is too long is not noted."""
        name = os.fsencode(folder)
        if len(name) < _HOME.stop - _HOME.start:
            self.memory[_HOME.start : _HOME.start + len(name)] = name

    def slot(self, slot: Slot) -> memoryview:
        """Return a view of one number of the header; storing through it is atomic."""
        return self._header[slot : slot + 1]

    def close(self) -> None:
        """Unmap the memory; only once no writer and no reader is left."""
        self._header.release()
        self.memory.close()


def home_in(header: bytes) -> Path | None:
    """Return the folder that a ring belongs to, from its first page; None: it is not noted, or no ring's."""
    name = header[_HOME].rstrip(b"\0")
    return Path(os.fsdecode(name)) if name and header.startswith(_MAGIC) else None


def _touch(memory: mmap.mmap) -> None:
    """Fill the memory with zeros, by a call of the system that does not hold the interpreter's lock."""
    zero = os.open("/dev/zero", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with memoryview(memory) as whole:
            done = 0
            while done < len(whole):
                done += os.readv(zero, [whole[done:]])
    finally:
        os.close(zero)


def _whole_pages(capacity: int) -> int:
    return max(PAGE, -(-capacity // PAGE) * PAGE)


class RingReader:
    """The reading end; `stretches` does not move the tail, `advance` does."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._guess = _FIRST_GUESS

    @property
    def tail(self) -> int:
        """The position up to which all is safe elsewhere."""
        return self._ring[Slot.TAIL]

    def advance(self, position: int) -> None:
        """Give the room before `position` back to the writer."""
        self._ring[Slot.TAIL] = position

    def stretches(self, start: int) -> Iterator[Stretch]:
        """Yield what was published from the position `start` on; end early at a torn record."""
        head = self._ring[Slot.HEAD]
        position = start
        while position < head:
            left = self._ring.capacity - position % self._ring.capacity
            if left < FRAME_BYTES:
                position += left
                continue
            stamp, word = FRONT.unpack_from(self._ring.memory, self._place(position))
            size = word & _SIZE_MASK
            if stamp != position or size < FRAME_BYTES or size % 8 or size > min(left, head - position):
                return
            if kind_of(word) != PAD:
                stretch = self._stretch(position, word, min(left, head - position) // size)
                if stretch is None:
                    return
                yield stretch
                size = stretch.end - position
            position += size

    def _stretch(self, position: int, word: int, most: int) -> Stretch | None:
        """Take as many records with this word as follow each other, comparing whole columns at a time."""
        size = word & _SIZE_MASK
        tried = min(most, self._guess, max(_LARGEST_STRETCH_BYTES // size, 1))
        place = self._place(position)
        data = self._ring.memory[place : place + tried * size]
        count = _intact(array("Q", data), word, range(position, position + tried * size, size), size // 8)
        self._guess = min(self._guess * 4, _LARGEST_STRETCH) if count == tried else _FIRST_GUESS
        if count == 0:
            return None
        return Stretch(word, count, position + count * size, data[: count * size])

    def _place(self, position: int) -> int:
        return PAGE + position % self._ring.capacity


def _intact(numbers: array[int], word: int, positions: range, stride: int) -> int:
    """Count the leading records that carry this word and, at both ends, their own position."""
    words, fronts, backs = numbers[1::stride], numbers[::stride], numbers[stride - 1 :: stride]
    stamps = array("Q", positions)
    if fronts == backs == stamps and words == array("Q", [word]) * len(stamps):
        return len(stamps)
    for i, stamp in enumerate(stamps):
        if not (words[i] == word and fronts[i] == backs[i] == stamp):
            return i
    raise AssertionError("columns differ in no row")
