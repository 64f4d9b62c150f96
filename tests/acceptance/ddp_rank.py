"""One rank of a job that trains with DDP over gloo; started by torchrun in `test_ddp.py`.

ddp_rank.py STEPS [SECONDS]: rank 1 works so many seconds longer on each step
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import trimtab


def main(steps: int, slower_by: float = 0.0) -> None:
    """Train; say who it is, and what of, in files that the test reads."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Linear(32, 1)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    watch = trimtab.watch(model, optimizer, project="ddp", total_steps=steps)
    unfinished = Path(f"rank{rank}.tmp")
    unfinished.write_text(f"{os.getpid()} {watch.run}")
    unfinished.rename(f"rank{rank}")
    with watch:
        for _ in range(steps):
            time.sleep(0.01 + (slower_by if rank == 1 else 0.0))  # stands for reading data
            loss = model(torch.randn(8, 16)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watch.step(loss=loss)
    dist.barrier()
    os._exit(0)  # gloo's own threads abort the interpreter's end now and then


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:]))
