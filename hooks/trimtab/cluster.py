"""What launcher and cluster tell a process in its environment: its place, its job, and where it runs.

All of it is read, nothing is asked: pure functions of the environment. Sources: the manuals of torchrun,
Slurm's srun and sbatch (output environment variables), Open MPI's mpirun, MPICH's hydra, Kubernetes' indexed
jobs, and Kubeflow's training operator and trainer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from trimtab.plain_values import encodable

Environ = Mapping[str, str]

LONGEST_FACT: Final = 300
REQUEUE_STRIDE: Final = 100
"""Attempts kept free for each time that Slurm queues a job again: hosts that lack the notes of the one before
must not use its attempts once more."""

_LARGEST_STEP: Final = 2**31
"""Slurm numbers the batch script's own step, and others that srun did not make, from near 2**32 downwards."""


class Launcher(NamedTuple):
    """The variables in which a launcher tells a process its place; "" where it does not tell."""

    name: str
    rank: str
    world_size: str
    local_rank: str = ""
    local_size: str = ""
    node_rank: str = ""


LAUNCHERS: Final = (
    Launcher("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK"),
    Launcher(
        "openmpi",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    Launcher("mpich", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    Launcher("slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "", "SLURM_NODEID"),
)
"""The innermost comes first: mpirun and torchrun are often started by srun, one on each host.

Slurm's own counts only in a step of srun's: a batch script is told of a task 0 too, and is not one of many.
"""

_SLURM_FACTS: Final = {
    "job_id": "SLURM_JOB_ID",
    "step_id": "SLURM_STEP_ID",
    "job_name": "SLURM_JOB_NAME",
    "nodes": "SLURM_JOB_NODELIST",
    "partition": "SLURM_JOB_PARTITION",
    "cluster": "SLURM_CLUSTER_NAME",
    "restart_count": "SLURM_RESTART_COUNT",
    "array_job_id": "SLURM_ARRAY_JOB_ID",
    "array_task_id": "SLURM_ARRAY_TASK_ID",
}
_POD_VARIABLES: Final = ("POD_NAME", "MY_POD_NAME", "HOSTNAME")
_NAMESPACE_VARIABLES: Final = ("POD_NAMESPACE", "MY_POD_NAMESPACE")
_NODE_VARIABLES: Final = ("NODE_NAME", "MY_NODE_NAME", "K8S_NODE_NAME")
_POD_OF_A_JOB: Final[tuple[re.Pattern[str], ...]] = (
    re.compile(r"(?P<job>.+)-(?:master|worker|launcher|chief)-\d+"),  # Kubeflow's training operator
    re.compile(r"(?P<job>.+)-node-\d+-\d+(?:-[a-z0-9]{5})?"),  # Kubeflow's trainer
)


def launcher(environ: Environ) -> Launcher | None:
    """Return the launcher that told this process its rank and its world size, None if none did."""
    return next((each for each in LAUNCHERS if _place(each, environ) is not None), None)


def launched_place(environ: Environ) -> tuple[int, int] | None:
    """Return rank and world size as the launcher told them."""
    by = launcher(environ)
    return None if by is None else _place(by, environ)


def local_rank(environ: Environ) -> int | None:
    """Return the rank among those of the same host, None if it is not known."""
    by = launcher(environ)
    return None if by is None else number(environ, by.local_rank)


def node_rank(environ: Environ) -> int | None:
    """Return the number of the host among those of the job, None if it is not known."""
    by = launcher(environ)
    return None if by is None else number(environ, by.node_rank)


def has_peers_elsewhere(environ: Environ) -> bool:
    """Tell whether some ranks of the job run on other hosts, or in other pods, as far as can be known."""
    place, by = launched_place(environ), launcher(environ)
    if place is None or by is None:
        return False
    here = number(environ, by.local_size)
    if here is None:
        return in_kubernetes(environ) and place[1] > 1
    return here < place[1]


def in_kubernetes(environ: Environ) -> bool:
    """Tell whether the process runs in a pod."""
    return "KUBERNETES_SERVICE_HOST" in environ


def is_elastic(environ: Environ) -> bool:
    """Tell whether torchrun launched this process: it starts its workers again when one of them fails."""
    return "TORCHELASTIC_RUN_ID" in environ


def job_key(environ: Environ) -> str | None:
    """Return a name that all ranks of the job make alike without talking; None where nothing is shared.

    Slurm's is the same after the job was queued again. A job of Kubernetes has none: one that is made anew
    has the name of the old one, and nothing that its pods are told tells the two apart.
    """
    by = launcher(environ)
    if by is not None and by.name == "openmpi":  # only some of its ranks are in a step of Slurm's
        return _hashed("mpi", environ, "PMIX_NAMESPACE", "SLURM_JOB_ID")
    slurm = _slurm_key(environ)
    if slurm is not None:
        return slurm
    if environ.get("TORCHELASTIC_RUN_ID", "none") == "none" or not has_peers_elsewhere(environ):
        return None
    return _hashed("torchrun", environ, "TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT")


def restarts(environ: Environ) -> int:
    """Return the least attempt that whatever restarted the job leaves free, 0 for the first start."""
    elastic = number(environ, "TORCHELASTIC_RESTART_COUNT") or 0
    return REQUEUE_STRIDE * (number(environ, "SLURM_RESTART_COUNT") or 0) + elastic


def job_facts(environ: Environ) -> dict[str, Any]:
    """Return what people know the job by; the same on all of its ranks."""
    by = launcher(environ)
    facts: dict[str, Any] = {}
    if by is not None:
        facts["launcher"] = "environment" if by.name == "torchrun" and not is_elastic(environ) else by.name
    if "SLURM_JOB_ID" in environ:
        facts["slurm"] = dict(_told(environ, _SLURM_FACTS))
    if in_kubernetes(environ):
        facts["kubernetes"] = {
            name: value
            for name, value in (
                ("namespace", _first(environ, _NAMESPACE_VARIABLES)),
                ("job", _kubernetes_job(environ)),
            )
            if value is not None
        }
    return facts


def process_facts(environ: Environ) -> dict[str, Any]:
    """Return where among its peers, and in the cluster, this one process runs."""
    facts: dict[str, Any] = {"local_rank": local_rank(environ), "node_rank": node_rank(environ)}
    if in_kubernetes(environ):
        facts |= {"pod": _first(environ, _POD_VARIABLES), "node": _first(environ, _NODE_VARIABLES)}
    return {name: value for name, value in facts.items() if value is not None}


def number(environ: Environ, name: str) -> int | None:
    """Return a variable that is a whole number of 0 or more, None otherwise."""
    value = environ.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None


def _place(by: Launcher, environ: Environ) -> tuple[int, int] | None:
    rank, world_size = number(environ, by.rank), number(environ, by.world_size)
    return None if rank is None or world_size is None or rank >= world_size else (rank, world_size)


def _slurm_key(environ: Environ) -> str | None:
    job = environ.get("SLURM_HET_JOB_ID") or environ.get("SLURM_JOB_ID")
    if not job:
        return None
    step = number(environ, "SLURM_STEP_ID")
    within_srun = step is not None and step < _LARGEST_STEP
    if not within_srun and has_peers_elsewhere(environ):  # over ssh: the others know nothing of Slurm
        return None
    cluster = environ.get("SLURM_CLUSTER_NAME")
    text = "-".join(["slurm", *([cluster] if cluster else []), job]) + (f".{step}" if within_srun else "")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:48]


def _hashed(prefix: str, environ: Environ, first: str, *others: str) -> str | None:
    if not environ.get(first):
        return None
    whole = "\n".join(environ.get(name, "") for name in (first, *others))
    return f"{prefix}-{hashlib.sha256(whole.encode(errors='replace')).hexdigest()[:8]}"


def _kubernetes_job(environ: Environ) -> str | None:
    pod, index = _first(environ, _POD_VARIABLES) or "", environ.get("JOB_COMPLETION_INDEX", "")
    patterns = _POD_OF_A_JOB
    if index.isdigit():
        patterns = (*patterns, re.compile(rf"(?P<job>.+)-{index}(?:-[a-z0-9]{{5}})?"))
    found = (pattern.fullmatch(pod) for pattern in patterns)
    return next((match["job"] for match in found if match is not None), None)


def _told(environ: Environ, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, variable in names.items():
        value = environ.get(variable)
        if value:
            yield name, encodable(value)[:LONGEST_FACT]


def _first(environ: Environ, names: tuple[str, ...]) -> str | None:
    return next((value for _, value in _told(environ, {name: name for name in names})), None)
