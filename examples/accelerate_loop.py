"""A loop with Accelerate under watch: an import, and `log_with="trimtab"`.

    python examples/accelerate_loop.py
    torchrun --nproc-per-node 2 examples/accelerate_loop.py

Each step's loss, gradient norm and learning rate are told by themselves, on each process; what the loop logs
comes beside them.
"""

from __future__ import annotations

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import trimtab.integrations.accelerate  # noqa: F401  (it makes "trimtab" known)

STEPS = 200
BATCH = 64


def main() -> None:
    """Train a small classifier, two micro-steps a step."""
    accelerator = Accelerator(cpu=True, log_with="trimtab", gradient_accumulation_steps=2)
    accelerator.init_trackers("examples", {"steps": STEPS}, init_kwargs={"trimtab": {"total_steps": STEPS}})
    torch.manual_seed(0)
    inputs = torch.randn(2 * STEPS * BATCH * accelerator.num_processes, 16)
    batches = DataLoader(TensorDataset(inputs, inputs[:, :4].argmax(dim=1)), batch_size=BATCH)
    model = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS * accelerator.num_processes)
    model, optimizer, scheduler, batches = accelerator.prepare(model, optimizer, scheduler, batches)
    for inputs, labels in batches:
        with accelerator.accumulate(model):
            scores = model(inputs)
            accelerator.backward(nn.functional.cross_entropy(scores, labels))
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                accelerator.log({"accuracy": (scores.argmax(dim=1) == labels).float().mean()})
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    accelerator.end_training()


if __name__ == "__main__":
    main()
