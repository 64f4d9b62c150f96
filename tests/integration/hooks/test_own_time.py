"""A rank that all others wait for is told by its own time, measured in real training on two processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.testing import RecordingCollector
from trimtab_monitor.detectors.straggler import Straggler
from trimtab_monitor.types import Sample

JOB = """
import os, sys, time, torch, trimtab
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

where, steps = sys.argv[1], int(sys.argv[2])
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Linear(32, 1)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
watch = trimtab.watch(model, optimizer, project="ranks")
def work(now):
    time.sleep((0.03 if rank == 1 else 0.01) if now == where else 0.0)
with watch:
    for _ in range(steps):
        work("data")
        loss = model(torch.randn(8, 16)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(loss=loss)
        work("after")
dist.barrier()
os._exit(0)  # gloo's own threads abort the interpreter's end now and then
"""


@pytest.mark.parametrize("where", ["data", "after"])
def test_the_slow_rank_has_the_longer_own_time(
    collector: RecordingCollector, home: Path, tmp_path: Path, free_port: object, where: str
) -> None:
    assert callable(free_port)
    environ = os.environ | {
        "TRIMTAB_URL": collector.url,
        "TRIMTAB_RUN": "slow",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", JOB, where, "110"],
            cwd=tmp_path,
            env=environ | {"RANK": str(rank), "TRIMTAB_DIR": str(home / str(rank))},
        )
        for rank in range(2)
    ]
    assert [job.wait(timeout=120) for job in jobs] == [0, 0]
    own: dict[int, list[float]] = {0: [], 1: []}
    steps: dict[int, list[float]] = {0: [], 1: []}
    for batch in collector.batches("slow"):
        own[batch.rank] += [value for value in batch.metrics.get("own_seconds", ()) if value == value]
        steps[batch.rank] += [value for value in batch.metrics.get("step_seconds", ()) if value == value]
    assert min(len(values) for values in own.values()) >= 2
    assert statistics.median(own[1]) > 1.5 * statistics.median(own[0])
    alike = statistics.median(steps[1]) / statistics.median(steps[0])
    assert 0.8 < alike < 1.25, "the time of a step tells nothing"
    assert slow_ranks(own) == [1]


def slow_ranks(own: dict[int, list[float]]) -> list[int]:
    """The ranks that are told, if the job goes on like this for four minutes: a value a second of each."""
    detector, found = Straggler(), []
    for second in range(240):
        for rank, values in own.items():
            sample = {"own_seconds": values[second % len(values)]}
            found.append(detector.update(Sample(30 * second, 1.7e9 + second, sample, rank=rank)))
    return [each.evidence["rank"] for each in found if each is not None]
