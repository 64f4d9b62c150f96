"""The clients of the hooks' benchmark: what they log, and how wandb's transaction log is read."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from hooks_bench.clients import CLIENTS, FLOOR, OURS
from hooks_bench.clients.client import STANDARD, metrics
from hooks_bench.clients.wandb import BLOCK, FILE_HEADER, FULL, records
from hooks_bench.interpreters import AbsentError, interpreter_for


@pytest.mark.parametrize("width", [3, 100])
def test_all_steps_have_the_same_metrics_and_other_values(width: int) -> None:
    made = [metrics(width, step) for step in range(3)]

    assert all(len(values) == width for values in made)
    assert tuple(made[0])[:3] == STANDARD
    assert all(before.keys() == after.keys() for before, after in pairwise(made))
    assert len({values["loss"] for values in made}) == 3


def test_each_client_but_the_floor_and_our_own_can_be_read_again() -> None:
    assert {name for name, client in CLIENTS.items() if client.read is None} == {FLOOR, OURS}


def test_a_distribution_that_no_interpreter_has_is_absent_with_what_to_do() -> None:
    with pytest.raises(AbsentError, match="no-such-peer is not installed here, "):
        interpreter_for("no-such-peer")


def written(bodies: list[bytes]) -> bytes:
    """Write records as wandb does: whole where they fit, else in parts, a block each."""
    log = bytearray(b":W&B" + bytes(FILE_HEADER - 4))
    for body in bodies:
        first, rest = True, body
        while first or rest:
            left = BLOCK - len(log) % BLOCK
            if left < 7:
                log += bytes(left)
                continue
            piece, rest = rest[: left - 7], rest[left - 7 :]
            part = (FULL if not rest else 2) if first else (3 if rest else 4)
            log += struct.pack("<IHB", 0, len(piece), part) + piece
            first = False
    return bytes(log)


def test_records_are_read_across_blocks() -> None:
    bodies = [b"a" * 100, b"b" * 100_000, b"", b"c" * (BLOCK - 7), b"d"]

    assert list(records(written(bodies))) == bodies


def test_of_a_log_that_was_cut_the_whole_records_are_read() -> None:
    log = written([b"a" * 100, b"b" * 100_000])

    assert list(records(log[:50_000])) == [b"a" * 100]
