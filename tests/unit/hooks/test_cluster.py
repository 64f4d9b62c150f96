"""What is read from the environments of real launchers: who is who, and what all ranks call their job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import cluster
from trimtab.identity import Place, find_place

Environ = dict[str, str]


def torchrun(rank: int, hosts: int = 1, here: int = 2, run: str = "none", restarts: int = 0) -> Environ:
    """What torchrun tells a worker; `MASTER_PORT` is that of the agents' store, the same over restarts."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank % here),
        "WORLD_SIZE": str(hosts * here),
        "LOCAL_WORLD_SIZE": str(here),
        "GROUP_RANK": str(rank // here),
        "GROUP_WORLD_SIZE": str(hosts),
        "MASTER_ADDR": "node001",
        "MASTER_PORT": "29500" if run == "none" else "40511",
        "TORCHELASTIC_RUN_ID": run,
        "TORCHELASTIC_RESTART_COUNT": str(restarts),
        "TORCHELASTIC_MAX_RESTARTS": "3",
    }


def batch_script(requeued: int = 0) -> Environ:
    """What Slurm tells a batch script that asked for two tasks on each of two nodes."""
    told = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "gpt",
        "SLURM_JOB_NODELIST": "node[001-002]",
        "SLURM_JOB_PARTITION": "h100",
        "SLURM_CLUSTER_NAME": "alps",
        "SLURM_NTASKS": "4",
        "SLURM_NNODES": "2",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
    }
    return told | ({"SLURM_RESTART_COUNT": str(requeued)} if requeued else {})


def srun(rank: int, requeued: int = 0, step: int = 0) -> Environ:
    """What a task of srun's is told."""
    return batch_script(requeued) | {
        "SLURM_STEP_ID": str(step),
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank % 2),
        "SLURM_NODEID": str(rank // 2),
        "SLURMD_NODENAME": f"node00{1 + rank // 2}",
    }


def mpirun(rank: int) -> Environ:
    """What Open MPI tells a rank within Slurm: the ranks beside mpirun itself are in no step of srun's."""
    told = batch_script() if rank < 2 else srun(1) | {"SLURM_STEP_NUM_TASKS": "1"}
    return told | {
        "OMPI_COMM_WORLD_RANK": str(rank),
        "OMPI_COMM_WORLD_SIZE": "4",
        "OMPI_COMM_WORLD_LOCAL_RANK": str(rank % 2),
        "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
        "PMIX_NAMESPACE": "prterun-node001-81234@1",
    }


def hydra(rank: int) -> Environ:
    """What MPICH's mpiexec tells a rank; its proxies are one task on each node."""
    return srun(rank // 2) | {
        "SLURM_STEP_NUM_TASKS": "2",
        "PMI_RANK": str(rank),
        "PMI_SIZE": "4",
        "MPI_LOCALRANKID": str(rank % 2),
        "MPI_LOCALNRANKS": "2",
    }


def pytorchjob(rank: int) -> Environ:
    """What Kubeflow's training operator tells a pod that runs one process."""
    pod = "gpt-master-0" if rank == 0 else f"gpt-worker-{rank - 1}"
    return {
        "RANK": str(rank),
        "WORLD_SIZE": "4",
        "MASTER_ADDR": "gpt-master-0",
        "MASTER_PORT": "23456",
        "HOSTNAME": pod,
        "POD_NAMESPACE": "research",
        "NODE_NAME": f"gke-{rank}",
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    }


MANY = {
    "torchrun on one host": torchrun,
    "torchrun on two": lambda rank: torchrun(rank, hosts=2, run="j1"),
    "srun": srun,
    "srun torchrun": lambda rank: srun(rank // 2) | {"SLURM_STEP_NUM_TASKS": "2"} | torchrun(rank, hosts=2),
    "mpirun": mpirun,
    "hydra": hydra,
    "pytorchjob": pytorchjob,
}


@pytest.mark.parametrize("launch", MANY.values(), ids=MANY.keys())
def test_each_rank_knows_its_place(launch: Callable[[int], Environ]) -> None:
    size = find_place(launch(0)).world_size
    assert size in (2, 4)
    assert [find_place(launch(rank)) for rank in range(size)] == [Place(rank, size) for rank in range(size)]


@pytest.mark.parametrize("launch", MANY.values(), ids=MANY.keys())
def test_all_ranks_call_their_job_the_same_and_people_too(launch: Callable[[int], Environ]) -> None:
    ranks = range(find_place(launch(0)).world_size)
    assert len({cluster.job_key(launch(rank)) for rank in ranks}) == 1
    told = [cluster.job_facts(launch(rank)) for rank in ranks]
    assert all(each["launcher"] == told[0]["launcher"] for each in told)


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({}, None),
        (batch_script(), "slurm-alps-4711"),
        (srun(3), "slurm-alps-4711.0"),
        (srun(3, step=2), "slurm-alps-4711.2"),
        (srun(3) | torchrun(3, hosts=2), "slurm-alps-4711.0"),
        (batch_script() | torchrun(1), "slurm-alps-4711"),
        (batch_script() | torchrun(1, hosts=2), None),
        (batch_script() | {"SLURM_STEP_ID": "4294967291"}, "slurm-alps-4711"),
        (srun(0) | {"SLURM_HET_JOB_ID": "4710"}, "slurm-alps-4710.0"),
        (torchrun(1), None),
        (torchrun(1, run="2f0c"), None),
        (torchrun(1, hosts=2), None),
        (pytorchjob(1), None),
    ],
)
def test_what_a_job_is_called(environ: Environ, key: str | None) -> None:
    assert cluster.job_key(environ) == key


def test_a_job_that_is_queued_again_is_the_same_and_a_copied_id_of_torchrun_is_not() -> None:
    assert cluster.job_key(srun(0, requeued=2)) == cluster.job_key(srun(0))
    today, tomorrow = torchrun(0, hosts=2, run="100"), torchrun(0, hosts=2, run="100")
    assert cluster.job_key(today) != cluster.job_key(tomorrow | {"MASTER_PORT": "51777"})
    assert cluster.job_key(today) == cluster.job_key(torchrun(3, hosts=2, run="100", restarts=2))


@pytest.mark.parametrize(
    ("environ", "least"),
    [
        ({}, 0),
        (torchrun(0, restarts=2), 2),
        (srun(0), 0),
        (srun(0, requeued=1), 100),
        (srun(0, requeued=2) | torchrun(0, restarts=3), 203),
        ({"SLURM_RESTART_COUNT": "many"}, 0),
    ],
)
def test_a_restart_leaves_the_attempts_before_it_alone(environ: Environ, least: int) -> None:
    assert cluster.restarts(environ) == least


def test_a_batch_script_is_not_one_of_the_tasks_that_it_may_start() -> None:
    assert find_place(batch_script()) == Place(0, 1)


@pytest.mark.parametrize(
    ("environ", "elsewhere"),
    [
        ({}, False),
        (torchrun(0), False),
        (torchrun(0, hosts=2), True),
        (mpirun(0), True),
        (pytorchjob(0), True),
        (torchrun(0) | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
    ],
)
def test_whether_ranks_are_elsewhere(environ: Environ, elsewhere: bool) -> None:
    assert cluster.has_peers_elsewhere(environ) == elsewhere


def test_people_are_told_the_jobs_own_names() -> None:
    assert cluster.job_facts(srun(3, requeued=1)) == {
        "launcher": "slurm",
        "slurm": {
            "job_id": "4711",
            "step_id": "0",
            "job_name": "gpt",
            "nodes": "node[001-002]",
            "partition": "h100",
            "cluster": "alps",
            "restart_count": "1",
        },
    }
    assert cluster.process_facts(srun(3)) == {"local_rank": 1, "node_rank": 1}
    assert cluster.job_facts(torchrun(0)) == {"launcher": "torchrun"}
    assert cluster.job_facts({"RANK": "0", "WORLD_SIZE": "2"}) == {"launcher": "environment"}


@pytest.mark.parametrize(
    ("pod", "index", "job"),
    [
        ("gpt-worker-3", None, "gpt"),
        ("gpt-small-master-0", None, "gpt-small"),
        ("gpt-node-0-1", None, "gpt"),
        ("gpt-node-0-1-x7k2p", "1", "gpt"),
        ("gpt-2", "2", "gpt"),
        ("gpt-2-x7k2p", "2", "gpt"),
        ("gpt-0", "1", None),
        ("shell", None, None),
    ],
)
def test_a_pod_knows_its_job_by_its_name(pod: str, index: str | None, job: str | None) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "POD_NAMESPACE": "research", "POD_NAME": pod}
    environ |= {"JOB_COMPLETION_INDEX": index} if index is not None else {}
    told = cluster.job_facts(environ)["kubernetes"]
    assert told == {"namespace": "research"} | ({"job": job} if job else {})
    assert cluster.process_facts(environ | {"NODE_NAME": "gke-1"}) == {"pod": pod, "node": "gke-1"}


NAMES = sorted(
    {name for each in cluster.LAUNCHERS for name in each[1:] if name} | set(srun(0)) | set(torchrun(0))
)


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=8)))
def test_no_environment_is_too_strange(environ: Environ) -> None:
    place = find_place(environ)
    assert 0 <= place.rank < place.world_size
    key = cluster.job_key(environ)
    assert key is None or (
        len(key) <= 48
        and set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    )
    assert cluster.restarts(environ) >= 0
    cluster.process_facts(environ)
    assert all(isinstance(value, str) for value in cluster.job_facts(environ).get("slurm", {}).values())
