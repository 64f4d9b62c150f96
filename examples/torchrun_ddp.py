"""DistributedDataParallel under watch: the ranks are one run, and a slow or dead one is named.

    torchrun --standalone --nproc-per-node 2 examples/torchrun_ddp.py

To see it, kill one rank, or slow one down: `--slow-rank 1`.
"""

from __future__ import annotations

import argparse
import os
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import trimtab

STEPS = 200


def main(slow_rank: int) -> None:
    """Train; nothing in the loop knows of the other ranks."""
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 4)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    torch.manual_seed(1 + dist.get_rank())  # each rank has its own data
    with trimtab.watch(model, optimizer, project="examples", total_steps=STEPS) as watch:
        while watch.step_number < STEPS:
            time.sleep(0.05 if dist.get_rank() == slow_rank else 0.005)  # stands for reading data
            inputs = torch.randn(64, 16)
            loss = nn.functional.cross_entropy(model(inputs), inputs[:, :4].argmax(dim=1))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            grad_norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            watch.step(loss=loss, grad_norm=grad_norm)
    dist.barrier()
    os._exit(0)  # gloo's own threads abort the interpreter's end now and then


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow-rank", type=int, default=-1)
    main(parser.parse_args().slow_rank)
