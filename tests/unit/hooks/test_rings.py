"""A larger ring takes over without a record lost, doubled or out of order."""

from __future__ import annotations

import errno
import struct
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.guard import Guard
from trimtab.identity import RunIdentity
from trimtab.outbound.found_rings import FoundRings
from trimtab.outbound.process_dir import ProcessDir, rings_in
from trimtab.outbound.ring import FRAME_BYTES, PAGE, Ring, Slot, Stretch, word_of
from trimtab.outbound.ring_writer import FULL, RingWriter
from trimtab.outbound.rings import GROWTH, InMemory, Rings, Shelf

IDENTITY = RunIdentity("run", 0, 0, 1, "host", "boot")


def write(writer: RingWriter, number: int, words: int) -> bool:
    size = FRAME_BYTES + 8 * words
    place = writer.reserve(size)
    if place == FULL:
        return False
    stamp = struct.pack("=Q", writer.head)
    payload = struct.pack("=Q", number) * words
    writer.memory[place : place + size] = stamp + struct.pack("=Q", word_of(size, 2, 0)) + payload + stamp
    writer.publish(size)
    return True


def numbers(stretches: list[Stretch]) -> list[int]:
    found = []
    for stretch in stretches:
        size = len(stretch.data) // stretch.count
        found += [struct.unpack_from("=Q", stretch.data, i * size + 16)[0] for i in range(stretch.count)]
    return found


def relieve(rings: Rings) -> None:
    rings.relieve()
    rings.settle()


def rings_of(shelf: Shelf, largest: int = 64 * PAGE) -> tuple[RingWriter, Rings]:
    writer = RingWriter(shelf.make_ring(PAGE, 0), lambda: None)
    return writer, Rings(writer, shelf, lambda _: None, Guard(), largest)


@given(st.lists(st.one_of(st.integers(1, 60), st.sampled_from(["read", "advance", "relieve"])), max_size=400))
def test_what_is_read_is_what_was_written_whenever_it_grows(operations: list[int | str]) -> None:
    writer, rings = rings_of(InMemory())
    expected: deque[int] = deque()
    dropped = 0
    for number, operation in enumerate(operations):
        if isinstance(operation, int):
            if write(writer, number, operation):
                expected.append(number)
            else:
                dropped += 1
        elif operation == "relieve":
            relieve(rings)
        else:
            found = list(rings.stretches())
            read = numbers(found)
            assert read == list(expected)[: len(read)]
            if operation == "advance" and found:
                rings.advance(found[-1].end)
                for _ in read:
                    expected.popleft()
    for _ in range(4):  # a ring that was left is read to its end before the next is looked at
        found = list(rings.stretches())
        if found:
            rings.advance(found[-1].end)
            assert numbers(found) == [expected.popleft() for _ in numbers(found)]
    assert not expected
    assert rings.take_drops() == dropped


def test_it_grows_only_when_it_is_short_of_room_and_up_to_its_bound() -> None:
    writer, rings = rings_of(InMemory(), largest=GROWTH * PAGE)
    relieve(rings)
    write(writer, 0, 1)
    assert writer.ring.capacity == PAGE
    while write(writer, 1, 20):
        pass
    for _ in range(3):
        relieve(rings)
        while write(writer, 2, 20):
            pass
    assert writer.ring.capacity == GROWTH * PAGE


def test_a_record_larger_than_the_ring_finds_room_in_the_next() -> None:
    writer, rings = rings_of(InMemory())
    assert not write(writer, 1, 2 * PAGE // 8)
    relieve(rings)
    assert write(writer, 2, 2 * PAGE // 8)
    assert numbers(list(rings.stretches())) == [2]
    assert rings.take_drops() == 1


def test_what_was_dropped_is_owed_until_it_is_safe_that_it_was_told() -> None:
    writer, rings = rings_of(InMemory())
    assert not write(writer, 1, 2 * PAGE // 8)
    assert [rings.take_drops(), rings.take_drops()] == [1, 1]
    assert not write(writer, 2, 2 * PAGE // 8)
    rings.confirm_drops()
    assert rings.take_drops() == 1
    rings.confirm_drops()
    assert rings.take_drops() == 0


class Full(InMemory):
    """Has room for the first ring only."""

    def make_ring(self, capacity: int, number: int) -> Ring:
        if number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().make_ring(capacity, number)


def test_where_there_is_no_room_the_ring_stays_and_it_is_told_once() -> None:
    troubles: list[OSError] = []
    writer = RingWriter(Full().make_ring(PAGE, 0), lambda: None)
    rings = Rings(writer, Full(), troubles.append, Guard())
    while write(writer, 1, 20):
        pass
    relieve(rings)
    relieve(rings)
    assert [error.errno for error in troubles] == [errno.ENOSPC]
    found = list(rings.stretches())
    rings.advance(found[-1].end)
    assert write(writer, 2, 20)


def test_rings_are_deleted_once_they_hold_nothing_more(tmp_path: Path) -> None:
    home = ProcessDir.create(tmp_path, IDENTITY)
    writer, rings = rings_of(home)
    while write(writer, 1, 20):
        pass
    relieve(rings)
    write(writer, 2, 20)
    assert [ring.name for ring in rings_in(home.path) if ring.exists()] == ["ring", "ring.1"]
    rings.take_drops()
    rings.confirm_drops()
    rings.advance(list(rings.stretches())[-1].end)
    assert [ring.name for ring in rings_in(home.path) if ring.exists()] == ["ring.1"]
    home.remove()
    assert list(Path("/dev/shm").glob(f"trimtab-{home.path.name}*")) == []


@pytest.mark.parametrize("written_after", [0, 3])
def test_whoever_finds_several_rings_reads_them_in_order(tmp_path: Path, written_after: int) -> None:
    home = ProcessDir.create(tmp_path, IDENTITY)
    writer, rings = rings_of(home)
    count = 0
    while write(writer, count, 20):
        count += 1
    rings[Slot.NEXT_SEQ] = 7
    relieve(rings)
    for number in range(count, count + written_after):
        assert write(writer, number, 20)
    found = FoundRings(home.path)
    assert numbers(list(found.stretches())) == list(range(count + written_after))
    assert (found.seq, found.dropped, found.problems) == (7, 1, [])
    found.note(0, 8, writer.head)
    assert list(found.stretches()) == []
    found.close()
    home.remove()


def test_a_ring_that_was_being_made_when_its_process_died_is_passed_over(tmp_path: Path) -> None:
    home = ProcessDir.create(tmp_path, IDENTITY)
    writer, _ = rings_of(home)
    write(writer, 5, 1)
    (home.path / "ring.1").write_bytes(bytes(3 * PAGE))
    (home.path / "ring.2").touch()
    found = FoundRings(home.path)
    assert (numbers(list(found.stretches())), found.problems) == ([5], [])
    found.close()
    home.remove()


def test_a_damaged_ring_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    home = ProcessDir.create(tmp_path, IDENTITY)
    writer, rings = rings_of(home)
    while write(writer, 1, 20):
        pass
    relieve(rings)
    write(writer, 2, 20)
    with (home.path / "ring").open("r+b") as file:
        file.write(b"RUBBISH!")
    found = FoundRings(home.path)
    assert numbers(list(found.stretches())) == [2]
    assert ["damaged" in problem for problem in found.problems] == [True]
    found.close()
    home.remove()


def test_a_handler_that_raises_in_the_middle_of_the_change_costs_nothing() -> None:
    writer, rings = rings_of(InMemory())
    count = 0
    while write(writer, count, 20):
        count += 1
    relieve(rings)
    # As a signal would leave it: the new ring's memory is there already, the rest is not.
    (new,) = [live.ring for live in rings._live if live.ring is not writer.ring]
    writer.safe, writer.memory = 0, new.memory
    assert write(writer, count, 20)
    assert numbers(list(rings.stretches())) == list(range(count + 1))


def test_one_that_is_stopped_takes_up_no_ring_and_leaves_none(tmp_path: Path) -> None:
    home = ProcessDir.create(tmp_path, IDENTITY)
    writer, rings = rings_of(home)
    while write(writer, 1, 20):
        pass
    rings.stop()
    relieve(rings)
    assert not write(writer, 2, 20)
    assert [ring.name for ring in rings_in(home.path) if ring.exists()] == ["ring"]
    home.remove()
