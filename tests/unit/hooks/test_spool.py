"""The spool gives batches back in order, over segments, restarts and torn tails, with or without a disk."""

from __future__ import annotations

import errno
import tempfile
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.outbound.spool import FileSpool, MemorySpool, Spool, SpoolRecord
from trimtab.outbound.steady_spool import DISK_AGAIN_SECONDS, SteadySpool

CAPACITY = 2**20


def record(seq: int, size: int = 10) -> SpoolRecord:
    return SpoolRecord(attempt=1, seq=seq, rows=seq % 7, ring_end=seq * 100, body=bytes([seq % 256]) * size)


def drain(spool: Spool) -> list[int]:
    seqs = []
    while (first := spool.first()) is not None:
        seqs.append(first.seq)
        spool.confirm()
    return seqs


OPERATIONS = st.lists(
    st.one_of(st.integers(0, 40_000), st.sampled_from(["confirm", "confirm", "reopen"])), max_size=60
)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_batches_come_back_in_order_whatever_happens_in_between(operations: list[int | str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        spool = FileSpool(Path(name), CAPACITY)
        expected: deque[SpoolRecord] = deque()
        for seq, operation in enumerate(operations):
            if isinstance(operation, int):
                spool.append(record(seq, operation))
                expected.append(record(seq, operation))
            elif operation == "reopen":
                spool = FileSpool(Path(name), CAPACITY)
            elif expected:
                assert spool.first() == expected.popleft()
                spool.confirm()
            assert spool.first() == (expected[0] if expected else None)
        assert drain(spool) == [each.seq for each in expected]


def test_a_batch_after_two_restarts_is_not_taken_for_one_that_was_confirmed(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, CAPACITY)
    spool.append(record(0))
    assert drain(spool) == [0]
    assert FileSpool(tmp_path, CAPACITY).first() is None
    spool = FileSpool(tmp_path, CAPACITY)
    spool.append(record(1))
    assert drain(spool) == [1]


def test_segments_that_are_confirmed_are_deleted(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, CAPACITY)
    for seq in range(40):
        spool.append(record(seq, 30_000))
    assert len(list(tmp_path.glob("spool-*.seg"))) > 10
    assert drain(spool) == list(range(40))
    assert len(list(tmp_path.glob("spool-*.seg"))) == 1


def test_it_is_full_at_its_capacity_and_not_once_that_is_confirmed(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, CAPACITY)
    while not spool.full:
        spool.append(record(1, 60_000))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.seg")) < CAPACITY + 61_000
    drain(spool)
    assert not spool.full


@pytest.mark.parametrize("cut", [1, 20, 36, 45])
def test_a_torn_tail_is_left_out_and_what_follows_goes_to_a_new_segment(tmp_path: Path, cut: int) -> None:
    spool = FileSpool(tmp_path, CAPACITY)
    for seq in range(3):
        spool.append(record(seq))
    segment = next(tmp_path.glob("*.seg"))
    segment.write_bytes(segment.read_bytes()[:-cut])
    again = FileSpool(tmp_path, CAPACITY)
    again.append(record(7))
    assert drain(again) == [0, 1, 7]


def test_a_damaged_batch_is_not_sent(tmp_path: Path) -> None:
    FileSpool(tmp_path, CAPACITY).append(record(0))
    segment = next(tmp_path.glob("*.seg"))
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    assert FileSpool(tmp_path, CAPACITY).first() is None


def test_a_damaged_position_sends_again_rather_than_loses(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, CAPACITY)
    spool.append(record(0))
    spool.append(record(1))
    spool.first()
    spool.confirm()
    assert FileSpool(tmp_path, CAPACITY).first() == record(1)
    (tmp_path / "acked").write_bytes(b"rubbish")
    assert drain(FileSpool(tmp_path, CAPACITY)) == [0, 1]


class Disk(MemorySpool):
    """A disk that can be full."""

    def __init__(self) -> None:
        super().__init__(CAPACITY)
        self.is_full = False

    def append(self, record: SpoolRecord) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(record)


def test_a_full_disk_is_gone_round_and_returned_to_in_order() -> None:
    now = 0.0
    disk, troubles = Disk(), list[OSError]()
    spool = SteadySpool(disk, MemorySpool(CAPACITY), troubles.append, lambda: now)
    spool.append(record(0))
    disk.is_full = True
    spool.append(record(1))
    disk.is_full = False
    spool.append(record(2))
    assert [error.errno for error in troubles] == [errno.ENOSPC]
    assert drain(spool) == [0, 1, 2]
    spool.append(record(3))
    assert disk.first() is None, "it is not tried again at once"
    drain(spool)
    now += DISK_AGAIN_SECONDS
    spool.append(record(4))
    assert disk.first() == record(4)


def test_what_is_in_memory_moves_to_the_disk_in_order_once_that_works_again() -> None:
    now = 0.0
    disk, memory = Disk(), MemorySpool(CAPACITY)
    spool = SteadySpool(disk, memory, lambda _: None, lambda: now)
    disk.is_full = True
    spool.append(record(0))
    spool.append(record(1))
    disk.is_full = False
    now += DISK_AGAIN_SECONDS
    spool.append(record(2))
    assert memory.first() is None
    assert drain(disk) == [0, 1, 2]


def test_a_batch_that_moves_while_it_is_sent_is_confirmed_where_it_is(tmp_path: Path) -> None:
    now = 0.0
    full = Disk()
    full.is_full = True
    spool = SteadySpool(full, MemorySpool(CAPACITY), lambda _: None, lambda: now)
    spool.append(record(1))
    spool._disk = FileSpool(tmp_path, CAPACITY)  # its own, which reads a batch before it confirms it
    assert spool.first() == record(1)
    now += DISK_AGAIN_SECONDS
    spool.append(record(2))
    spool.confirm()
    assert drain(spool) == [2]


def test_at_the_end_the_disk_is_tried_once_more_and_what_it_does_not_take_is_told() -> None:
    disk = Disk()
    spool = SteadySpool(disk, MemorySpool(CAPACITY), lambda _: None, lambda: 0.0)
    disk.is_full = True
    spool.append(record(3))
    spool.append(record(4))
    assert spool.flush() == 7
    disk.is_full = False
    assert spool.flush() == 0
    assert drain(disk) == [3, 4]


def test_without_a_disk_the_memory_is_bounded() -> None:
    spool = SteadySpool(None, MemorySpool(100), lambda _: None)
    assert not spool.full
    spool.append(record(0, 100))
    assert spool.full
    assert drain(spool) == [0]
    assert not spool.full
