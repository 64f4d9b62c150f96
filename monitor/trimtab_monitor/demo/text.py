"""Real text that every machine has: the `.py` files of Python's own standard library."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

CORPUS_BYTES = 8_000_000
HELD_OUT = 20
"""Every twentieth file is held out for evaluation."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Bytes to train on and bytes to evaluate on, from different files."""

    train: Tensor
    held_out: Tensor

    def batch(self, index: int, *, rows: int, context: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return batch number `index` of an endless stream: inputs and next bytes, each (rows, context).

        The same index gives the same batch, whatever was drawn before.
        """
        return _draw(self.train, index, rows, context, seed)

    def evaluation(self, *, batches: int, rows: int, context: int) -> list[tuple[Tensor, Tensor]]:
        """Return a fixed set of batches from the held-out files."""
        return [_draw(self.held_out, index, rows, context, seed=0) for index in range(batches)]


def standard_library() -> Corpus:
    """Read up to 8 MB of the standard library, in name order, tests left out."""
    root = Path(sysconfig.get_path("stdlib"))
    train, held_out, total = bytearray(), bytearray(), 0
    for number, file in enumerate(sorted(_sources(root))):
        text = file.read_bytes()
        (held_out if number % HELD_OUT == 0 else train).extend(text)
        total += len(text)
        if total >= CORPUS_BYTES:
            break
    if len(train) < 100_000 or len(held_out) < 10_000:
        raise RuntimeError(f"{root}: too little Python source to train on; install the full standard library")
    return Corpus(_tensor(train), _tensor(held_out))


def _sources(root: Path) -> list[Path]:
    skipped = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "__pycache__"}
    return [file for file in root.rglob("*.py") if skipped.isdisjoint(file.relative_to(root).parts)]


def _tensor(text: bytearray) -> Tensor:
    return torch.frombuffer(text, dtype=torch.uint8)


def _draw(text: Tensor, index: int, rows: int, context: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
    starts = torch.randint(len(text) - context - 1, (rows,), generator=generator)
    windows = torch.stack([text[start : start + context + 1] for start in starts.tolist()]).long()
    return windows[:, :-1], windows[:, 1:]
