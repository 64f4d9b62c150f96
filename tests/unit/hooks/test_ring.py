"""What goes into the ring comes out, in order and bit for bit, or is counted as dropped."""

from __future__ import annotations

import struct
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.outbound.ring import (
    FRAME_BYTES,
    PAGE,
    Ring,
    RingError,
    RingReader,
    Slot,
    attempt_of,
    kind_of,
    word_of,
)
from trimtab.outbound.ring_writer import FULL, REENTERED, RingWriter

RECORD = st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 40))
"""Kind, attempt, and length in words; the same kind may come in several lengths."""


def write(writer: RingWriter, kind: int, attempt: int, payload: bytes) -> bool:
    size = FRAME_BYTES + len(payload)
    place = writer.reserve(size)
    if place == FULL:
        return False
    stamp = struct.pack("=Q", writer.head)
    writer.memory[place : place + size] = (
        stamp + struct.pack("=Q", word_of(size, kind, attempt)) + payload + stamp
    )
    writer.publish(size)
    return True


def read(reader: RingReader, start: int) -> list[tuple[int, int, int, bytes]]:
    """Return end, kind, attempt and payload of each record."""
    records: list[tuple[int, int, int, bytes]] = []
    for stretch in reader.stretches(start):
        size = len(stretch.data) // stretch.count
        for i in range(stretch.count):
            payload = stretch.data[i * size + 16 : (i + 1) * size - 8]
            records.append((stretch.end, kind_of(stretch.word), attempt_of(stretch.word), payload))
    return records


@given(st.lists(st.one_of(RECORD, st.just("read"), st.just("advance")), max_size=300))
def test_what_is_read_is_what_was_written_over_any_number_of_laps(operations: list[object]) -> None:
    ring = Ring.anonymous(PAGE)
    writer, reader = RingWriter(ring, lambda: None), RingReader(ring)
    expected: deque[tuple[int, int, bytes]] = deque()
    dropped = 0
    for number, operation in enumerate(operations):
        if isinstance(operation, tuple):
            kind, attempt, words = operation
            payload = struct.pack("=Q", number) * words
            if write(writer, kind, attempt, payload):
                expected.append((kind, attempt, payload))
            else:
                dropped += 1
            continue
        records = read(reader, reader.tail)
        assert [record[1:] for record in records] == list(expected)
        if operation == "advance" and records:
            reader.advance(records[-1][0])
            expected.clear()
    assert [record[1:] for record in read(reader, reader.tail)] == list(expected)
    assert ring[Slot.DROPPED] == dropped


@given(st.integers(0, 40), st.integers(0, 200))
def test_a_full_ring_keeps_what_it_has_and_takes_more_once_it_is_read(words: int, more: int) -> None:
    ring = Ring.anonymous(PAGE)
    woken: list[bool] = []
    writer, reader = RingWriter(ring, lambda: woken.append(True)), RingReader(ring)
    payload = b"\x07" * 8 * words
    written = 0
    while write(writer, 1, 0, payload):
        written += 1
    assert len(read(reader, 0)) == written > 0
    assert woken, "the reader is called before the ring is full"
    reader.advance(read(reader, 0)[-1][0])
    assert write(writer, 1, 0, payload), "what was read makes room"
    for _ in range(more):
        write(writer, 1, 0, payload)
        reader.advance(read(reader, reader.tail)[-1][0])


def test_a_record_counts_only_once_it_is_published() -> None:
    ring = Ring.anonymous(PAGE)
    writer, reader = RingWriter(ring, lambda: None), RingReader(ring)
    write(writer, 1, 0, b"")
    writer.reserve(FRAME_BYTES)
    assert len(read(reader, 0)) == 1
    assert writer.reserve(FRAME_BYTES) == REENTERED, "a second write inside the first has to wait"
    writer.abandon()
    write(writer, 2, 0, b"")
    assert [record[1] for record in read(reader, 0)] == [1, 2]


@given(st.integers(1, 20), st.data())
def test_a_damaged_record_ends_the_reading_and_nothing_is_invented(count: int, data: st.DataObject) -> None:
    ring = Ring.anonymous(PAGE)
    writer, reader = RingWriter(ring, lambda: None), RingReader(ring)
    for number in range(count):
        write(writer, 1, 0, struct.pack("=Q", number))
    victim = data.draw(st.integers(0, count - 1))
    size = FRAME_BYTES + 8
    byte = data.draw(st.sampled_from([*range(16), *range(size - 8, size)]))
    ring.memory[PAGE + victim * size + byte] ^= data.draw(st.integers(1, 255))
    numbers = [struct.unpack("=Q", payload)[0] for _, kind, _, payload in read(reader, 0) if kind == 1]
    assert numbers[:victim] == list(range(victim))
    assert all(number in range(count) for number in numbers)
    if byte not in range(8, 16):
        assert numbers == list(range(victim))


def test_the_ring_is_there_for_who_opens_the_file_next(tmp_path: Path) -> None:
    ring = Ring.create(tmp_path / "ring", 64 * 1024)
    write(RingWriter(ring, lambda: None), 3, 2, b"12345678")
    found = Ring.open(tmp_path / "ring")
    assert read(RingReader(found), found[Slot.TAIL])[0][1:] == (3, 2, b"12345678")
    found.close()


def test_the_file_takes_its_room_when_it_is_made(tmp_path: Path) -> None:
    Ring.create(tmp_path / "ring", 64 * 1024)
    assert (tmp_path / "ring").stat().st_blocks * 512 >= 64 * 1024


@pytest.mark.parametrize("content", [b"", b"short", bytes(3 * PAGE), b"TRIMRING" + bytes(3 * PAGE)])
def test_a_file_that_is_no_ring_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ring").write_bytes(content)
    with pytest.raises(RingError, match="ring file"):
        Ring.open(tmp_path / "ring")
