"""A training loop that does to a run what was planned, and keeps what it measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.optim import AdamW

from curve_making.injections import Base, Injection, Recipe
from trimtab_monitor.demo.model import BYTES, GPT, GPTSize
from trimtab_monitor.demo.text import Corpus

SIZE: Final = GPTSize(width=64, layers=3, heads=4, context=48)
WARM_UP_STEPS: Final = 20
CLIP: Final = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One step: the training loss (nats a byte), the gradient norm before clipping, the learning rate."""

    step: int
    loss: float
    grad_norm: float
    lr: float


def train(recipe: Recipe, steps: int, corpus: Corpus) -> list[Measured]:
    """Train one run; stop ten steps after a loss that is not finite, as a job would soon after."""
    torch.manual_seed(recipe.base.seed)
    model = GPT(SIZE)
    optimizer = AdamW(model.parameters(), lr=recipe.base.learning_rate, betas=(0.9, 0.95), weight_decay=0.1)
    measured: list[Measured] = []
    broken = 0
    for step in range(1, steps + 1):
        row = _step(recipe, steps, step, model, optimizer, corpus)
        measured.append(row)
        broken += not math.isfinite(row.loss)
        if broken > 10:
            break
    return measured


def _step(recipe: Recipe, steps: int, step: int, model: GPT, optimizer: AdamW, corpus: Corpus) -> Measured:
    active = [injection for injection in recipe.injections if injection.covers(step)]
    x, y = _batch(recipe.base, active, step, corpus)
    loss = model.loss(x, y)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    if any(injection.what == "nan" and injection.start == step for injection in active):
        spoilt = next(model.parameters()).grad
        assert spoilt is not None
        spoilt[0, 0] = math.nan
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    lr = recipe.base.learning_rate * _rate(active, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return Measured(step, loss.item(), norm.item(), lr)


def _rate(active: list[Injection], step: int, steps: int) -> float:
    """Warm-up, then a cosine to a tenth, as a fraction of the highest rate; and what is done to it."""
    factor = 1.0
    for injection in active:
        since = step - injection.start
        if injection.what == "learning_rate":
            factor *= injection.strength
        elif injection.what == "rate_creep":
            factor *= injection.strength**since
        elif injection.what == "rate_restart":
            return _scheduled(since + 1, steps - injection.start)
    return factor * _scheduled(step, steps)


def _scheduled(step: int, steps: int) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return min(1.0, step / WARM_UP_STEPS) * (0.1 + 0.9 * cosine)


def _batch(base: Base, active: list[Injection], step: int, corpus: Corpus) -> tuple[Tensor, Tensor]:
    rows = base.rows
    for injection in active:
        if injection.what == "batch_size":
            rows = max(1, round(rows * injection.strength))
    x, y = corpus.batch(step, rows=rows, context=SIZE.context, seed=base.seed)
    for injection in active:
        if injection.what == "new_task":
            alphabet = torch.randperm(BYTES, generator=torch.Generator().manual_seed(base.seed))
            x, y = alphabet[x], alphabet[y]
        elif injection.what in ("corrupt_data", "growing_noise"):
            x, y = _with_noise(x, y, _share(injection, step), step)
    return x, y


def _share(injection: Injection, step: int) -> float:
    """The share of noise: growing noise grows by `strength` a step."""
    grown = step - injection.start + 1 if injection.what == "growing_noise" else 1
    return min(1.0, injection.strength * grown)


def _with_noise(x: Tensor, y: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Replace a share of all bytes by random ones, in blocks that are the same rows of both."""
    generator = torch.Generator().manual_seed(seed)
    struck = torch.rand(x.shape[0], 1, generator=generator) < share
    noise = torch.randint(BYTES, (2, *x.shape), generator=generator)
    return torch.where(struck, noise[0], x), torch.where(struck, noise[1], y)
