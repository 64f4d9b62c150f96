"""One training run of the demo: an ordinary loop, and the two lines that watch it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from trimtab_monitor.demo.faults import Fault, corrupted, raise_learning_rate
from trimtab_monitor.demo.model import GPT, GPTSize
from trimtab_monitor.demo.text import Corpus


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained: `steps` good steps of `rows` windows of text from one seed."""

    steps: int
    rows: int = 32
    learning_rate: float = 3e-3
    seed: int = 1
    size: GPTSize = field(default_factory=GPTSize)

    @property
    def tokens_per_step(self) -> int:
        """Tokens (bytes) in one batch."""
        return self.rows * self.size.context


class StepOutcome(Protocol):
    """What the loop needs to know after a step."""

    @property
    def rolled_back(self) -> bool:
        """Whether the run went back to an earlier step."""

    @property
    def stop(self) -> bool:
        """Whether the run should end here."""


class Watcher(Protocol):
    """The part of a watch that the loop uses."""

    @property
    def step_number(self) -> int:
        """How many good steps the run has made."""

    def step(self, loss: Tensor, lr: float, *, grad_norm: Tensor) -> StepOutcome:
        """Take what was measured at one step."""


@dataclass(slots=True)
class Unwatched:
    """Counts steps, and nothing else: the run that nobody looks at."""

    step_number: int = 0
    rolled_back: bool = False
    stop: bool = False

    def step(self, loss: Tensor, lr: float, *, grad_norm: Tensor) -> StepOutcome:
        """Count the step."""
        del loss, lr, grad_norm
        self.step_number += 1
        return self


@dataclass(slots=True)
class Course:
    """How one run went: the loss of every batch, where faults struck, where it went back, and how it ended.

    `loss[i]` is the training loss of batch i. `struck` maps each fault to the attempt and the step number at
    which its first batch was taken; `went_back` holds (batch index, step number after) of each rollback.
    """

    loss: list[float] = field(default_factory=list)
    struck: dict[Fault, tuple[int, int]] = field(default_factory=dict)
    went_back: list[tuple[int, int]] = field(default_factory=list)
    steps: int = 0
    final_eval_loss: float = math.nan


@dataclass(frozen=True, slots=True)
class Job:
    """Model, optimizer and scheduler of one run, made from the plan's seed."""

    model: GPT
    optimizer: AdamW
    scheduler: LambdaLR


def make_job(plan: Plan) -> Job:
    """Build the job: the same seed gives the same weights."""
    torch.manual_seed(plan.seed)
    model = GPT(plan.size)
    optimizer = AdamW(model.parameters(), lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=0.1)
    return Job(model, optimizer, LambdaLR(optimizer, lambda step: _rate(step, plan.steps)))


def _rate(step: int, steps: int) -> float:
    """Warm up over 20 steps, then follow a cosine to a tenth."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return min(1.0, (step + 1) / 20) * (0.1 + 0.9 * cosine)


def train(
    plan: Plan,
    job: Job,
    corpus: Corpus,
    watch: Watcher,
    faults: tuple[Fault, ...] = (),
    tell: Callable[[Course], None] = lambda _: None,
) -> Course:
    """Train until the planned number of good steps is done, then evaluate.

    `tell` is called after each batch with the course so far.
    """
    course = Course()
    for index in range(3 * plan.steps):
        for fault in faults:
            if fault.start == index:
                course.struck[fault] = (len(course.went_back), watch.step_number + 1)
        x, y = corpus.batch(index, rows=plan.rows, context=plan.size.context, seed=plan.seed)
        loss, grad_norm, lr = _update(job, *corrupted(faults, index, x, y), faults, index)
        outcome = watch.step(loss, lr, grad_norm=grad_norm)
        course.loss.append(loss.item())
        if outcome.rolled_back:
            course.went_back.append((index, watch.step_number))
        course.steps = watch.step_number
        tell(course)
        if outcome.stop or watch.step_number >= plan.steps:
            break
    course.final_eval_loss = evaluate(plan, job.model, corpus)
    return course


def _update(
    job: Job, x: Tensor, y: Tensor, faults: tuple[Fault, ...], index: int
) -> tuple[Tensor, Tensor, float]:
    loss = job.model.loss(x, y)
    job.optimizer.zero_grad()
    torch.autograd.backward(loss)
    grad_norm = torch.nn.utils.clip_grad_norm_(job.model.parameters(), 1.0)
    raise_learning_rate(faults, index, job.optimizer)
    lr = _learning_rate(job.optimizer)
    job.optimizer.step()
    job.scheduler.step()
    return loss.detach(), grad_norm, lr


def _learning_rate(optimizer: Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])


@torch.no_grad()
def evaluate(plan: Plan, model: GPT, corpus: Corpus) -> float:
    """Return the mean loss over a fixed set of held-out batches, in nats a byte."""
    batches = corpus.evaluation(batches=16, rows=64, context=plan.size.context)
    return sum(model.loss(x, y).item() for x, y in batches) / len(batches)
