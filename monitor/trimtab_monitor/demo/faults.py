"""What goes wrong in the demo: a shard of corrupt data, and a learning rate far too high.

A fault belongs to a place in the stream of batches, not to a step number: a run that is rolled back does not
get the same batches again, it goes on with the next ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from trimtab_monitor.demo.model import BYTES

LEARNING_RATE_FACTOR = 30.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: batches `start` to `start + batches - 1` of the stream, counted from 0."""

    kind: Literal["corrupt_data", "learning_rate"]
    start: int
    batches: int

    def covers(self, index: int) -> bool:
        """Tell whether batch number `index` is struck."""
        return self.start <= index < self.start + self.batches


def planned(steps: int) -> tuple[Fault, Fault]:
    """Place both faults in a run of `steps` steps: after it has settled, and early enough to recover."""
    return (
        Fault("corrupt_data", start=round(0.4 * steps), batches=8),
        Fault("learning_rate", start=round(0.65 * steps), batches=10),
    )


def corrupted(faults: tuple[Fault, ...], index: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the batch, or random bytes with wrong targets where a shard is corrupt."""
    if not any(fault.kind == "corrupt_data" and fault.covers(index) for fault in faults):
        return x, y
    generator = torch.Generator().manual_seed(index)
    return (
        torch.randint(BYTES, x.shape, generator=generator),
        torch.randint(BYTES, y.shape, generator=generator),
    )


def raise_learning_rate(faults: tuple[Fault, ...], index: int, optimizer: Optimizer) -> None:
    """Set the learning rate of this one step far too high, where that fault strikes."""
    if any(fault.kind == "learning_rate" and fault.covers(index) for fault in faults):
        for group in optimizer.param_groups:
            group["lr"] *= LEARNING_RATE_FACTOR
