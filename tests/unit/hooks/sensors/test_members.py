"""Which processes are a run's, from a made-up /proc and the files of its ranks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from trimtab.sensors.share.members import REFRESH_S, Members
from trimtab.sensors.share.process_tree import read_stat
from trimtab.testing_proc import NAMESPACE, ProcDouble


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def proc(tmp_path: Path) -> ProcDouble:
    return ProcDouble(tmp_path / "proc")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def member(tmp_path: Path, proc: ProcDouble, clock: Clock) -> Callable[..., Members]:
    folder = tmp_path / "locks"
    folder.mkdir()

    def make(pid: int, run: str = "r-1") -> Members:
        return Members(run, "boot-id", folder, pid=pid, proc=proc.root, clock=clock)

    return make


def test_ranks_and_their_children_are_the_runs(proc: ProcDouble, member: Callable[..., Members]) -> None:
    for pid, parent in ((10, 1), (11, 1), (20, 10), (21, 20), (99, 1)):
        proc.process(pid, parent)
    first, second = member(10), member(11)
    first.join()
    second.join()
    assert first.pids() == second.pids() == frozenset({10, 11, 20, 21})
    assert first.ranks() == {10, 11}
    assert first.others() == {}


def test_another_run_is_told_apart(proc: ProcDouble, member: Callable[..., Members]) -> None:
    for pid in (10, 11, 12):
        proc.process(pid)
    ours = member(10)
    for each in (ours, member(11, "r"), member(12, "r-1-2")):
        each.join()
    assert ours.pids() == frozenset({10})
    assert ours.others() == {"r": {11}, "r-1-2": {12}}


def test_who_left_is_no_longer_counted(
    proc: ProcDouble, member: Callable[..., Members], clock: Clock
) -> None:
    proc.process(10)
    proc.process(11)
    first, second = member(10), member(11)
    first.join()
    second.join()
    assert first.pids() == frozenset({10, 11})
    second.leave()
    second.leave()
    clock.now += REFRESH_S
    assert first.pids() == frozenset({10})


@pytest.mark.parametrize("start", [None, 5000])
def test_a_file_that_outlived_its_process_is_removed(
    proc: ProcDouble, member: Callable[..., Members], tmp_path: Path, start: int | None
) -> None:
    proc.process(10)
    proc.process(11, start=1000)
    member(11).join()
    if start is None:
        proc.end(11)
    else:
        proc.process(11, start=start)  # another process has got the pid
    first = member(10)
    first.join()
    assert first.pids() == frozenset({10})
    assert [file.name for file in (tmp_path / "locks").iterdir()] == [
        f"trimtab-boot-id-r-1-{NAMESPACE}-10-1000.member"
    ]


def test_a_file_that_was_tidied_away_is_made_again(
    proc: ProcDouble, member: Callable[..., Members], clock: Clock, tmp_path: Path
) -> None:
    proc.process(10)
    first = member(10)
    first.join()
    (file,) = (tmp_path / "locks").iterdir()
    file.unlink()  # as systemd-tmpfiles does after ten days
    clock.now += REFRESH_S
    assert first.pids() == frozenset({10})
    assert file.exists()


def test_a_rank_of_other_pids_and_a_strangers_file_are_left_alone(
    proc: ProcDouble, member: Callable[..., Members], tmp_path: Path
) -> None:
    strange = {"trimtab-boot-id-r-1-4026599999-10-7.member", "trimtab-boot-id-r.member"}
    for name in strange:
        (tmp_path / "locks" / name).touch()
    proc.process(10)
    first = member(10)
    first.join()
    assert first.pids() == frozenset({10})
    assert strange < {file.name for file in (tmp_path / "locks").iterdir()}


def test_a_child_of_later_is_found_within_a_moment(
    proc: ProcDouble, member: Callable[..., Members], clock: Clock
) -> None:
    proc.process(10)
    first = member(10)
    first.join()
    assert first.pids() == frozenset({10})
    proc.process(20, parent=10)
    assert first.pids() == frozenset({10}), "a scan is not made at each reading"
    clock.now += REFRESH_S
    assert first.pids() == frozenset({10, 20})
    proc.end(20)
    clock.now += REFRESH_S
    assert first.pids() == frozenset({10})


def test_where_there_is_no_proc_it_cannot_be_told(tmp_path: Path) -> None:
    members = Members("r", "boot", tmp_path, pid=10, proc=tmp_path / "nothing")
    members.join()
    members.leave()
    assert members.pids() is None
    assert members.ranks() == frozenset()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_leaves_it_untold(proc: ProcDouble, tmp_path: Path) -> None:
    proc.process(10)
    members = Members("r", "boot", tmp_path / "missing", pid=10, proc=proc.root)
    members.join()
    assert members.pids() is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
def test_this_process_is_found_in_the_real_proc(tmp_path: Path) -> None:
    members = Members("r", "boot", tmp_path)
    members.join()
    assert os.getpid() in (members.pids() or ())
    members.leave()
    assert list(tmp_path.iterdir()) == []
    stat = read_stat(os.getpid())
    assert stat is not None
    assert (stat.parent, stat.start > 0) == (os.getppid(), True)
