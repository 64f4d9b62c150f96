"""The CPU time of processes that come and go, from a made-up /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.sensors.share.tree_time import TreeTime
from trimtab.testing_proc import ProcDouble


@pytest.fixture
def proc(tmp_path: Path) -> ProcDouble:
    return ProcDouble(tmp_path / "proc")


def test_time_counts_from_the_first_reading(proc: ProcDouble) -> None:
    tree = TreeTime(proc.root)
    proc.process(10, worked=500)
    assert tree.ticks([10]) == 0
    proc.process(10, worked=700)
    assert tree.ticks([10]) == 200


def test_a_childs_whole_time_counts(proc: ProcDouble) -> None:
    tree = TreeTime(proc.root)
    proc.process(10)
    tree.ticks([10])
    proc.process(20, parent=10, start=2000, worked=30)
    proc.process(21, parent=20, start=2001, worked=5)
    assert tree.ticks([10, 20, 21]) == 35


def test_a_rank_that_joins_counts_from_then_with_its_children(proc: ProcDouble) -> None:
    tree = TreeTime(proc.root)
    proc.process(10)
    tree.ticks([10])
    proc.process(11, parent=1, start=1500, worked=900)
    proc.process(20, parent=11, start=1600, worked=400)
    assert tree.ticks([10, 11, 20]) == 0
    proc.process(20, parent=11, start=1600, worked=450)
    assert tree.ticks([10, 11, 20]) == 50


def test_a_child_that_ends_is_counted_once(proc: ProcDouble) -> None:
    tree = TreeTime(proc.root)
    proc.process(10)
    proc.process(20, parent=10, worked=100)
    tree.ticks([10, 20])
    proc.process(20, parent=10, worked=130)
    assert tree.ticks([10, 20]) == 30
    proc.end(20)
    proc.process(10, worked=5, of_children=140)  # it had worked 10 more
    assert tree.ticks([10]) == 45


def test_a_child_that_comes_and_goes_between_readings_is_told_by_its_parent(proc: ProcDouble) -> None:
    tree = TreeTime(proc.root)
    proc.process(10)
    tree.ticks([10])
    proc.process(10, of_children=80)
    assert tree.ticks([10]) == 80


def test_it_never_falls_where_nobody_waits_for_a_child(proc: ProcDouble) -> None:
    tree = TreeTime(proc.root)
    proc.process(10)
    proc.process(20, parent=10, worked=100)
    tree.ticks([10, 20])
    proc.end(20)
    proc.process(10, worked=7)
    assert tree.ticks([10]) == 0
    proc.process(10, worked=9)
    assert tree.ticks([10]) == 2


def test_another_process_with_the_same_pid_is_another(proc: ProcDouble) -> None:
    tree = TreeTime(proc.root)
    proc.process(10)
    proc.process(20, parent=10, start=1000, worked=500)
    tree.ticks([10, 20])
    proc.process(20, parent=10, start=9000, worked=4)
    proc.process(10, of_children=500)
    assert tree.ticks([10, 20]) == 4
