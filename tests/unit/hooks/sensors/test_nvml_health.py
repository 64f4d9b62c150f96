"""How a board fares, and what its driver reports."""

from __future__ import annotations

from collections.abc import Callable

from trimtab.sensors.nvidia.boards import Board as Found
from trimtab.sensors.nvidia.boards import visible_boards
from trimtab.sensors.nvidia.driver import Driver
from trimtab.sensors.nvidia.health import Health
from trimtab.sensors.nvidia.xids import Xids
from trimtab.testing_nvml import Board, Nvml


def found(board: Board, clock: Callable[[], float] = lambda: 0.0) -> Found:
    driver = Driver(Nvml([board]), clock)
    driver.open()
    (only,) = visible_boards(driver, None)
    return only


def ask(health: Health) -> dict[str, float]:
    for task in health.tasks():
        task.ask()
    return health.take()


def test_the_gauges_bear_the_names_and_units_of_the_wire() -> None:
    health = Health(found(Board("a", throttle_reasons=0x44, ecc_corrected=3, ecc_uncorrected=1)))
    assert ask(health) == {
        "util": 0.87,
        "mem_used_bytes": 2.0**30,
        "temp_c": 61.0,
        "sm_clock_mhz": 1980.0,
        "mem_clock_mhz": 2619.0,
        "throttle_reasons": 68.0,
        "ecc_corrected_errors": 3.0,
        "ecc_uncorrected_errors": 1.0,
    }
    assert health.take() == {}, "each is told once"


def test_errors_of_memory_that_are_there_at_the_start_are_no_news() -> None:
    board = Board("a", ecc_uncorrected=4)
    health = Health(found(board))
    ask(health)
    assert health.take_ecc_errors() == 0
    board.ecc_uncorrected = 6
    ask(health)
    board.ecc_uncorrected = 7
    ask(health)
    assert (health.take_ecc_errors(), health.take_ecc_errors()) == (3, 0)


def test_errors_that_are_counted_anew_after_a_reload_are_told_as_they_come() -> None:
    board = Board("a", ecc_uncorrected=4)
    health = Health(found(board))
    ask(health)
    board.ecc_uncorrected = 0
    ask(health)
    board.ecc_uncorrected = 1
    ask(health)
    assert health.take_ecc_errors() == 1


def test_xids_are_heard_in_their_order() -> None:
    board = Board("a")
    xids = Xids(found(board))
    xids.ask()
    assert xids.take() == []
    board.xids = [31, 79]
    xids.ask()
    assert (xids.take(), xids.take()) == ([31, 79], [])


def test_a_flood_of_xids_is_taken_a_few_at_a_time() -> None:
    board = Board("a", xids=[13] * 1000)
    xids = Xids(found(board))
    xids.ask()
    assert len(xids.take()) < 100


def test_a_board_that_tells_no_xids_is_asked_once() -> None:
    board = found(Board("a", xids=None))
    xids = Xids(board)
    xids.ask()
    board.driver.nvml.calls.clear()
    xids.ask()
    assert (xids.take(), board.driver.nvml.calls) == ([], [])


def test_after_the_driver_was_opened_anew_xids_are_asked_for_anew() -> None:
    board = Board("a")
    now = [0.0]
    there = found(board, lambda: now[-1])
    xids = Xids(there)
    xids.ask()
    driver = there.driver
    driver.nvml.unload()
    assert not there.find_again()
    driver.nvml.loaded = True
    now.append(1.0)
    assert there.find_again()
    board.xids = [79]
    xids.ask()
    assert xids.take() == [79]


def test_who_stops_lets_the_driver_forget() -> None:
    board = found(Board("a"))
    xids = Xids(board)
    xids.ask()
    xids.close()
    assert board.driver.nvml.calls[-1] == "nvmlEventSetFree"
