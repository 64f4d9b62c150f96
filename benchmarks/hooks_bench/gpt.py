"""The loop whose throughput is measured: the demo's GPT, with what each way of watching changes."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

import trimtab
from hooks_bench.ways import WAYS, WITHOUT
from trimtab_monitor.demo.model import GPTSize
from trimtab_monitor.demo.training import Job, Plan, make_job

ROWS: Final = {"cpu": 32, "cuda": 64}
SIZES: Final = {
    "cpu": GPTSize(),
    "cuda": GPTSize(width=768, layers=12, heads=12, context=512),
}
"""On two cores: 1 M parameters, 2,048 tokens a step. On a GPU: 86 M parameters, 32,768 tokens."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """What a step took on average: by the clock, and in processor time of two kinds.

    `tail` is the training thread's in the optimizer and `watch.step`, `threads` that of the threads that
    watching started.
    """

    wall: float
    tail: float
    threads: float


Record = Callable[[Tensor, Tensor], object]


class Loop:
    """One model and optimizer that are trained on, whatever watches."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.plan = Plan(steps=10**6, rows=ROWS[device], size=SIZES[device])
        self.job: Job = make_job(self.plan)
        if device != "cpu":
            self.job.model.to(device)
        self._batch = torch.randint(0, 256, (self.plan.rows, self.plan.size.context), device=device)

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(each.numel() for each in self.job.model.parameters())

    def block(self, name: str, url: str, steps: int) -> Seconds:
        """Train so many steps one way; watch anew, and let the first step pass untimed."""
        before = set(threading.enumerate())
        with recorded(self.job, name, url) as record:
            self._step(record)
            return self._timed(record, steps, set(threading.enumerate()) - before)

    def _timed(self, record: Record, steps: int, threads: set[threading.Thread]) -> Seconds:
        self._settle()
        tail = 0.0
        began, processor = time.perf_counter(), processor_seconds(threads)
        for _ in range(steps):
            tail += self._step(record)
        self._settle()
        wall = time.perf_counter() - began
        return Seconds(wall / steps, tail / steps, (processor_seconds(threads) - processor) / steps)

    def _step(self, record: Record) -> float:
        model, optimizer = self.job.model, self.job.optimizer
        loss = model.loss(self._batch, self._batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        norm = clip_grad_norm_(model.parameters(), 1.0)
        began = time.thread_time()
        optimizer.step()
        record(loss.detach(), norm)
        return time.thread_time() - began

    def _settle(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def processor_seconds(threads: Iterable[threading.Thread]) -> float:
    """Processor time that living threads have taken so far."""
    return sum(
        time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threads
        if thread.is_alive() and thread.ident is not None
    )


@contextmanager
def recorded(job: Job, name: str, url: str) -> Iterator[Record]:
    """Watch the job one way for the length of a block; give what the loop calls once a step."""
    if name == WITHOUT:
        yield lambda *_: None
        return
    way = WAYS[name]
    with redirect_stderr(io.StringIO()):  # it tells its run's address, each time
        watch = trimtab.watch(job.model, job.optimizer, project="benchmark", url=url, signals=way.signals)
    with watch:

        def record(loss: Tensor, norm: Tensor) -> Any:
            return watch.step(loss=loss, grad_norm=norm if way.gives_norm else None)

        yield record
        if watch.over is not None:
            raise RuntimeError(f"nothing was watched: {watch.over}")
