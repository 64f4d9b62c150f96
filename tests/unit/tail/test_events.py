"""TensorBoard event files that a real writer writes while they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch.utils.tensorboard import SummaryWriter

from trimtab_monitor.replay.columns import Columns
from trimtab_monitor.tail.events import EventSource
from trimtab_monitor.tail.steps import Placed


class Board:
    """A folder of event files, followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self.source = EventSource(folder, Columns(everything=True), self.notes.append)

    def writer(self, suffix: str = "") -> Any:
        return SummaryWriter(str(self.folder), filename_suffix=suffix)

    def found(self) -> list[Placed]:
        placed: list[Placed] = []
        while (rows := self.source.poll()) is not None:
            placed += rows
        return placed


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_each_step_is_one_row_however_its_tags_arrive(board: Board) -> None:
    writer = board.writer()
    found = []
    for step in range(1, 61):
        writer.add_scalar("train/loss", 4.0 / step, step, walltime=1.7e9 + step)
        if step % 7 == 0:
            writer.flush()
            found += board.found()
        writer.add_scalar("train/lr", 0.5, step, walltime=1.7e9 + step)
        writer.add_scalar("mfu", 0.25, step, walltime=1.7e9 + step)
        if step % 5 == 0:
            writer.flush()
            found += board.found()
    found += board.found() + board.source.idle(end=False)
    writer.close()
    assert [row.step for row in found] == list(range(1, 61))
    assert [row.row.values["loss"] for row in found] == pytest.approx([4.0 / step for step in range(1, 61)])
    assert all(row.row.values.keys() == {"loss", "lr", "mfu"} for row in found)
    assert [row.row.time for row in found] == [1.7e9 + step for step in range(1, 61)]


def test_a_record_that_is_cut_off_waits_for_its_rest(board: Board, tmp_path: Path) -> None:
    writer = board.writer()
    writer.add_scalar("loss", 2.5, 1)
    writer.close()
    (file,) = tmp_path.glob("*tfevents*")
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    assert board.found() == []
    assert board.source.idle(end=False) == []
    file.write_bytes(whole)
    board.found()
    (row,) = board.source.idle(end=False)
    assert (row.step, row.row.values) == (1, {"loss": 2.5})


def test_a_newer_file_is_another_attempt_where_its_steps_go_back(board: Board) -> None:
    first = board.writer(".a")
    for step in range(1, 31):
        first.add_scalar("loss", 2.5, step)
    first.close()
    found = board.found()
    second = board.writer(".b")
    for step in range(21, 61):
        second.add_scalar("loss", 2.0, step)
    second.close()
    found += board.found() + board.source.idle(end=True)
    assert [row.place for row in found] == [
        *((0, step) for step in range(1, 31)),
        *((1, step) for step in range(21, 61)),
    ]


def test_a_damaged_file_is_told_and_read_no_further(board: Board, tmp_path: Path) -> None:
    writer = board.writer()
    writer.add_scalar("loss", 2.5, 1)
    writer.close()
    (file,) = tmp_path.glob("*tfevents*")
    file.write_bytes(file.read_bytes() + b"\x01" * 40)
    board.found()
    assert [row.step for row in board.source.idle(end=True)] == [1]
    assert "is damaged" in board.notes[0]
    assert board.found() == []


def test_without_a_loss_the_tags_are_told(board: Board) -> None:
    writer = board.writer()
    writer.add_scalar("reward", 2.5, 1)
    writer.close()
    board.found()
    assert "no tag loss" in board.notes[0]
    assert "reward" in board.notes[0]
