"""A plain PyTorch loop under watch, which goes back by itself when its loss spikes.

    python examples/plain_loop.py

No server is needed: a collector is started beside the job, and the page's address is shown at the start. A
bad batch is slipped in at step 400: the loss spikes, and the job goes back to a snapshot from before it.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

import trimtab

STEPS = 800
BAD_STEP = 400
CLASSES = 16


def batch_of(step: int) -> tuple[Tensor, Tensor]:
    """Make a batch; the one of BAD_STEP is far out of range."""
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(256, 64, generator=generator)
    labels = inputs[:, :CLASSES].argmax(dim=1)
    return (inputs * 1e4 if step == BAD_STEP else inputs), labels


def main() -> None:
    """Train, and take the next batch after a rollback: nothing else in the loop has to know of it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Dropout(0.1), nn.Linear(256, CLASSES))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    with trimtab.watch(
        model, optimizer, project="examples", rollback="auto", scheduler=scheduler, total_steps=STEPS
    ) as watch:
        batches = map(batch_of, itertools.count(1))
        while watch.step_number < STEPS:
            inputs, labels = next(batches)
            loss = nn.functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            grad_norm = nn.utils.clip_grad_norm_(model.parameters(), 1e9)
            optimizer.step()
            scheduler.step()
            if watch.step(loss=loss, grad_norm=grad_norm).stop:
                break


if __name__ == "__main__":
    main()
