"""Several ranks of a job are one run, and are rolled back as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.testing import RecordingCollector
from trimtab.vocabulary import Command

JOB = """
import json, os, sys, time, torch, trimtab
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
torch.manual_seed(rank)
budget = trimtab.Budget(kwh=1, stop=True) if sys.argv[1] == "budget" else None
mode = "off" if budget else "auto"
watch = trimtab.watch(model, optimizer, project="ranks", rollback=mode, budget=budget)
at = []
with watch:
    for number in range(1500):
        loss = model(torch.randn(8, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        result = watch.step(loss=loss)
        if result.rolled_back:
            at.append((number, result.step, float(sum(p.sum() for p in model.parameters()))))
        if result.stop or (at and number > at[0][0] + 3):
            break
        time.sleep(0.005)
state = torch.cat([p.detach().flatten() for p in model.parameters()])
others = [torch.zeros_like(state) for _ in range(dist.get_world_size())]
dist.all_gather(others, state)
print(json.dumps({"run": watch.run, "at": at, "number": number, "stop": result.stop,
                  "same": all(torch.equal(state, other) for other in others)}), flush=True)
dist.barrier()
os._exit(0)  # gloo's own threads abort the interpreter's end now and then
"""


def launch(
    collector: RecordingCollector, home: Path, tmp_path: Path, port: int, why: str
) -> list[dict[str, object]]:
    environ = os.environ | {
        "TRIMTAB_URL": collector.url,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", JOB, why],
            cwd=tmp_path,
            env=environ | {"RANK": str(rank), "TRIMTAB_DIR": str(home / str(rank))},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outs = [job.communicate(timeout=120)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    return [json.loads(out.splitlines()[-1]) for out in outs]


@pytest.mark.parametrize(("command", "why"), [("rollback", "spike"), ("stop", "budget")])
def test_ranks_obey_at_the_same_step(
    collector: RecordingCollector, home: Path, tmp_path: Path, free_port: object, command: str, why: str
) -> None:
    assert callable(free_port)
    to_step = 5 if command == "rollback" else None
    of = "kwh" if why == "budget" else None
    collector.commands = [Command(id="c1", kind=command, to_step=to_step, budget=of)]  # type: ignore[arg-type]
    first, second = launch(collector, home, tmp_path, free_port(), why)
    assert first["run"] == second["run"], "ranks are one run, though their folders differ"
    assert first["at"] == second["at"]
    assert first["number"] == second["number"]
    assert first["same"]
    assert bool(first["at"]) == (command == "rollback")
    assert first["stop"] == (command == "stop")
    run = str(first["run"])
    answers = [
        (event["outcome"], event["from_step"], event["to_step"])
        for event in collector.events("command_applied", run)
    ]
    assert len(answers) == 2
    assert len(set(answers)) == 1
    assert answers[0][0] == "applied"
    assert {batch.rank for batch in collector.batches(run)} == {0, 1}
    if command == "rollback":
        assert collector.rows(run, attempt=1, rank=0)[0] == collector.rows(run, attempt=1, rank=1)[0]
