"""Which cgroup is one job's own, and what it tells, from a tree made up for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.sensors.share.cgroups import Group, cores_of, group_of, job_path, worked_s
from trimtab.testing_proc import ProcDouble

CONTAINER = "4f1c" * 16


@pytest.fixture
def proc(tmp_path: Path) -> ProcDouble:
    double = ProcDouble(tmp_path / "proc")
    double.process(10)
    return double


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def make(mount: Path, path: str, **files: str) -> Path:
    folder = mount / path.strip("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text("cpuset cpu memory\n")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/", None),
        ("/user.slice/user-1000.slice/session-3.scope", None),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope", None),
        ("/system.slice/sshd.service", None),
        ("/init.scope", None),
        ("/system.slice/slurmstepd.scope/job_42/step_0/user/task_3", "/system.slice/slurmstepd.scope/job_42"),
        ("/system.slice/host1_slurmstepd.scope/job_42/step_0", "/system.slice/host1_slurmstepd.scope/job_42"),
        ("/pbs_jobs.service/jobid/7.head", "/pbs_jobs.service/jobid/7.head"),
        ("/lsf/cluster/job.7.12.34/core", "/lsf/cluster/job.7.12.34"),
        (f"/system.slice/docker-{CONTAINER}.scope/inner", f"/system.slice/docker-{CONTAINER}.scope"),
        (f"/docker/{CONTAINER}", f"/docker/{CONTAINER}"),
        (f"/machine.slice/libpod-{CONTAINER}.scope", f"/machine.slice/libpod-{CONTAINER}.scope"),
        (
            f"/kubepods.slice/kubepods-pod12.slice/cri-containerd-{CONTAINER}.scope",
            f"/kubepods.slice/kubepods-pod12.slice/cri-containerd-{CONTAINER}.scope",
        ),
        (f"/kubepods/burstable/pod1-2/{CONTAINER}", f"/kubepods/burstable/pod1-2/{CONTAINER}"),
        ("/training", "/training"),
    ],
)
def test_a_job_or_container_is_told_from_a_session(path: str, own: str | None) -> None:
    assert job_path(path) == own


def test_the_job_is_taken_and_not_its_task(proc: ProcDouble, mount: Path) -> None:
    proc.cgroup(10, "/slurm/job_42/step_0/task_1")
    job = make(mount, "/slurm/job_42")
    assert group_of(10, proc.root, mount) == Group(job, own=True)


def test_a_session_is_not_the_jobs_own(proc: ProcDouble, mount: Path) -> None:
    proc.cgroup(10, "/user.slice/session-3.scope")
    session = make(mount, "/user.slice/session-3.scope")
    assert group_of(10, proc.root, mount) == Group(session, own=False)


@pytest.mark.parametrize("container", [True, False])
def test_the_root_is_a_containers_own_where_it_is_none(
    proc: ProcDouble, mount: Path, container: bool
) -> None:
    proc.cgroup(10, "/")
    make(mount, "/", **({"cgroup_type": "domain"} if container else {}))
    assert group_of(10, proc.root, mount) == Group(mount, own=container)


@pytest.mark.parametrize("path", ["/../outside", "/gone", None])
def test_a_group_that_cannot_be_seen_is_not_told(proc: ProcDouble, mount: Path, path: str | None) -> None:
    make(mount, "/")
    if path:
        proc.cgroup(10, path)
    assert group_of(10, proc.root, mount) is None


def test_version_1_is_not_told(proc: ProcDouble, mount: Path) -> None:
    mount.mkdir()
    proc.cgroup(10, "/")
    assert group_of(10, proc.root, mount) is None


@pytest.mark.parametrize(
    ("job", "above", "cores"),
    [
        ({}, {}, None),
        ({"cpuset_cpus_effective": "0-7"}, {"cpuset_cpus_effective": "0-63"}, 8),
        ({"cpuset_cpus_effective": "0-3,8,16-17"}, {}, 7),
        ({"cpu_max": "max 100000"}, {}, None),
        ({"cpu_max": "250000 100000"}, {}, 2.5),
        ({"cpuset_cpus_effective": "0-7"}, {"cpu_max": "400000 100000"}, 4),
        ({"cpuset_cpus_effective": ""}, {"cpu_max": "?"}, None),
    ],
)
def test_the_tightest_limit_counts(
    mount: Path, job: dict[str, str], above: dict[str, str], cores: float | None
) -> None:
    make(mount, "/")
    make(mount, "/slurm", **above)
    assert cores_of(Group(make(mount, "/slurm/job_1", **job), own=True), mount) == cores


def test_time_worked_is_told_in_seconds(mount: Path) -> None:
    job = make(mount, "/job_1", cpu_stat="usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000")
    assert worked_s(Group(job, own=True)) == 2.5
    assert worked_s(Group(make(mount, "/job_2"), own=True)) is None
