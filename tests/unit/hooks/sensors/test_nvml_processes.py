"""What part of a board is this run's, where others compute on it too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trimtab.sensors.nvidia import nvml
from trimtab.sensors.nvidia.boards import visible_boards
from trimtab.sensors.nvidia.driver import Driver
from trimtab.sensors.nvidia.processes import Shares
from trimtab.sensors.share.members import Members
from trimtab.testing_nvml import Board, Nvml, Process

OURS = frozenset({10, 11})


def shares(board: Board, ours: frozenset[int] | None = OURS) -> Shares:
    driver = Driver(Nvml([board]), lambda: 0.0)
    driver.open()
    (found,) = visible_boards(driver, None)
    return Shares(found, lambda: ours)


def asked(board: Board, ours: frozenset[int] | None = OURS) -> tuple[float | None, float | None]:
    told = shares(board, ours)
    told.ask()
    return told.used, told.held


def test_who_is_alone_on_a_board_has_all_of_it() -> None:
    assert asked(Board("a", processes=[Process(10, 90), Process(11, 5)], work_at=1)) == (None, None)


def test_a_part_is_held_by_the_number_of_processes_and_used_by_their_work() -> None:
    processes = [Process(10, 60), Process(11, 15), Process(77, 25)]
    assert asked(Board("a", processes=processes, work_at=1)) == (0.75, 2 / 3)


@pytest.mark.parametrize(
    ("processes", "ours"),
    [
        ([Process(10, 60), Process(77, 40)], None),
        ([Process(31010, 60), Process(31077, 40)], OURS),
        ([], OURS),
        (None, OURS),
    ],
    ids=["no /proc", "pids of another namespace", "nobody", "the driver does not tell"],
)
def test_what_is_not_known_is_not_guessed(
    processes: list[Process] | None, ours: frozenset[int] | None
) -> None:
    assert asked(Board("a", processes=processes, work_at=1), ours) == (None, None)


def test_of_no_work_that_part_is_used_which_is_held() -> None:
    processes = [Process(10), Process(77)]
    assert asked(Board("a", processes=processes, work_at=1)) == (0.5, 0.5)
    assert asked(Board("a", processes=processes)) == (0.5, 0.5), "no samples of it at all"


def test_work_is_that_since_the_last_call() -> None:
    board = Board("a", processes=[Process(10, 100), Process(77, 0)], work_at=1)
    told = shares(board)
    told.ask()
    assert told.used == 1.0
    board.processes, board.work_at = [Process(10, 20), Process(77, 60)], 2
    told.ask()
    assert told.used == 0.25
    told.ask()
    assert told.used == told.held, "nothing new"


def test_who_is_alone_again_has_all_of_it() -> None:
    board = Board("a", processes=[Process(10, 50), Process(77, 50)], work_at=1)
    told = shares(board)
    told.ask()
    board.processes = [Process(10, 50)]
    told.ask()
    assert (told.used, told.held) == (None, None)


def test_the_processes_of_the_run_are_known_by_the_readings(tmp_path: Path) -> None:
    members = Members("r1", "boot", tmp_path)
    members.join()
    processes = [Process(os.getpid(), 30), Process(2**22 + 1, 90)]
    driver = Nvml([Board("a", processes=processes, work_at=1)])
    (reading,) = nvml.probe(lambda: 1000.0, members, driver, {}).sensor.read()
    members.leave()
    assert (reading.used_share, reading.held_share) == (0.25, 0.5)
