"""A job's part of the CPUs, from a made-up /proc and made-up cgroups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from trimtab.sensors.share.cpu_share import CpuShare, Host, Share
from trimtab.sensors.share.members import REFRESH_S, Members
from trimtab.testing_proc import ProcDouble

ALL = Share(None, None)


@dataclass
class Machine:
    """A machine of 8 cores; times are seconds."""

    root: Path
    now: float = 0.0
    bound: dict[int, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.proc = ProcDouble(self.root / "proc")
        self.cgroups = self.root / "cgroup"
        self.locks = self.root / "locks"
        self.locks.mkdir()
        self.host(0)

    def host(self, busy_s: int) -> None:
        """Let a second pass, in which the CPUs come to have worked so long."""
        self.now += 1.0
        self.proc.cpus(busy_s * 100, 1_000_000)

    def rank(self, pid: int, run: str = "r", group: str = "/user.slice/session-1.scope") -> Members:
        self.proc.process(pid)
        self.proc.cgroup(pid, group)
        self.group(group)
        members = Members(run, "boot", self.locks, pid=pid, proc=self.proc.root, clock=lambda: self.now)
        members.join()
        return members

    def group(self, path: str, **files: str) -> None:
        folder = self.cgroups / path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").touch()
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text)

    def share(self, members: Members, **environ: str) -> CpuShare:
        host = Host(8, self.proc.root, self.cgroups, lambda pid: self.bound.get(pid, set(range(8))))
        return CpuShare(members, host, environ, lambda: self.now)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_job_that_has_the_machine_to_itself_is_given_all_of_it(machine: Machine) -> None:
    share = machine.share(machine.rank(10))
    machine.host(5)
    machine.proc.process(10, worked=100)
    assert share() == ALL, "what the system itself does for the job is the job's"


def test_a_slurm_job_holds_its_cores_and_uses_what_its_group_worked(machine: Machine) -> None:
    job = "/system.slice/slurmstepd.scope/job_7"
    machine.group(job, cpuset_cpus_effective="0-1", cpu_stat="usage_usec 1000000\n")
    share = machine.share(machine.rank(10, group=job))
    machine.group(job, cpu_stat="usage_usec 2500000\n")
    machine.host(6)
    assert share() == Share(0.25, 0.25)
    machine.host(8)
    assert share() == Share(0.0, 0.25)


def test_ranks_in_groups_of_their_own_are_one_job(machine: Machine) -> None:
    job = "/slurm/job_7"
    machine.group(job, cpuset_cpus_effective="0-3", cpu_stat="usage_usec 0\n")
    first = machine.rank(10, group=f"{job}/step_0/task_0")
    machine.rank(11, group=f"{job}/step_0/task_1")
    share = machine.share(first)
    machine.group(job, cpu_stat="usage_usec 4000000\n")
    machine.host(5)
    assert share() == Share(0.8, 0.5)


def test_a_container_with_a_quota_holds_that_much(machine: Machine) -> None:
    machine.group("/", cgroup_type="domain", cpu_max="200000 100000", cpu_stat="usage_usec 0\n")
    assert machine.share(machine.rank(10, group="/"))() == Share(None, 0.25)


def test_a_container_without_limits_has_the_machine(machine: Machine) -> None:
    machine.group("/", cgroup_type="domain", cpu_max="max 100000", cpuset_cpus_effective="0-7")
    assert machine.share(machine.rank(10, group="/"))() == ALL


def test_two_runs_without_bounds_have_the_machine_together(machine: Machine) -> None:
    ours, other = machine.rank(10), machine.rank(20, run="other")
    shares = [machine.share(ours), machine.share(other)]
    machine.proc.process(10, worked=300)
    machine.proc.process(21, parent=20, start=2000, worked=100)
    machine.host(5)
    machine.now += REFRESH_S
    assert [share() for share in shares] == [Share(0.75, 0.5), Share(0.25, 0.5)]
    machine.now += 0.5
    assert [share() for share in shares] == [Share(0.75, 0.5), Share(0.25, 0.5)], "it is no second ago"
    machine.now += 0.5
    assert [share() for share in shares] == [Share(None, 0.5)] * 2, "neither has worked since"


def test_two_runs_in_one_job_divide_what_it_holds(machine: Machine) -> None:
    job = "/slurm/job_7"
    machine.group(job, cpuset_cpus_effective="0-3", cpu_stat="usage_usec 0\n")
    share = machine.share(machine.rank(10, group=f"{job}/step_0"))
    machine.rank(20, run="other", group=f"{job}/step_1")
    machine.now += REFRESH_S
    share()
    machine.group(job, cpu_stat="usage_usec 9000000\n")
    machine.proc.process(10, worked=100)
    machine.host(4)
    assert share() == Share(0.25, 0.25), "the group's time is both runs'"


def test_a_run_in_bounds_of_its_own_takes_nothing_of_anothers(machine: Machine) -> None:
    machine.group("/slurm/job_7", cpuset_cpus_effective="0-3", cpu_stat="usage_usec 0\n")
    share = machine.share(machine.rank(10, group="/slurm/job_7"))
    machine.rank(20, run="other", group="/slurm/job_8")
    machine.now += REFRESH_S
    assert share().held == 0.5


def test_a_run_that_comes_later_is_seen_and_one_that_goes_too(machine: Machine) -> None:
    share = machine.share(machine.rank(10))
    assert share() == ALL
    other = machine.rank(20, run="other")
    machine.now += REFRESH_S
    assert share() == Share(None, 0.5), "there is nothing yet to count from"
    machine.proc.process(10, worked=300)
    machine.proc.process(20, worked=100)
    machine.now += 1.0
    assert share() == Share(0.75, 0.5)
    other.leave()
    machine.now += REFRESH_S
    assert share() == ALL


@pytest.mark.parametrize(
    ("environ", "held"),
    [
        ({}, None),  # bound by its owner, who shares with nobody
        ({"PBS_JOBID": "7"}, 0.5),
        ({"SLURM_JOB_ID": "7"}, 0.5),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "6"}, 0.75),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "8"}, None),
    ],
)
def test_cores_that_a_batch_system_binds_are_what_it_allots(
    machine: Machine, environ: dict[str, str], held: float | None
) -> None:
    machine.bound = {10: {0, 1}, 11: {2, 3}}
    members = machine.rank(10)
    machine.rank(11)
    assert machine.share(members, **environ)().held == held


@pytest.mark.parametrize("spoil", [lambda m: (m.proc.root / "stat").unlink(), lambda m: m.host(0)])
def test_without_the_machines_time_no_use_is_told(machine: Machine, spoil: Callable[[Machine], None]) -> None:
    machine.bound = {10: {0, 1}}
    share = machine.share(machine.rank(10), PBS_JOBID="7")
    spoil(machine)
    assert share() == Share(None, 0.25)


def test_what_the_processes_worked_counts_where_no_group_does(machine: Machine) -> None:
    machine.bound = {10: {0, 1}}
    share = machine.share(machine.rank(10), PBS_JOBID="7")
    machine.proc.process(10, worked=300)
    machine.host(4)
    assert share() == Share(0.75, 0.25)
    machine.proc.process(10, worked=600)
    machine.host(6)
    assert share() == Share(1.0, 0.25), "ticks are coarse"


def test_cores_that_slurm_allots_but_does_not_enforce_count(machine: Machine) -> None:
    machine.bound = {10: {0, 1}}
    machine.group("/slurm/job_7", cpuset_cpus_effective="0-7")
    share = machine.share(machine.rank(10, group="/slurm/job_7"), SLURM_JOB_ID="7", SLURM_CPUS_ON_NODE="2")
    assert share().held == 0.25


def test_where_there_is_no_proc_nothing_is_told(tmp_path: Path) -> None:
    members = Members("r", "boot", tmp_path, pid=10, proc=tmp_path / "nothing")
    members.join()
    host = Host(8, tmp_path / "nothing", tmp_path / "nothing", lambda _: set())
    assert CpuShare(members, host, {})() == ALL
