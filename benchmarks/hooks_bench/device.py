"""What a step of three tensors on an accelerator costs the training thread, and whether it waited for it."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any, Final

import torch

import trimtab
from hooks_bench.collector_process import collector_process
from hooks_bench.figures import quantile

STEPS: Final = 2_000
WARM_UP_STEPS: Final = 50
WORK: Final = 2_048
"""Rows of the matrices that keep the device busy between two steps."""
LINE: Final = {"benchmark": "hooks device", "metrics": 3}


def measure() -> dict[str, Any]:
    """Log steps of three device tensors while torch raises at every call that waits for the device."""
    if not torch.cuda.is_available():
        return LINE | {"absent": "not measured: no CUDA device"}
    with collector_process() as collector:
        taken, waited = _steps(collector.url)
    taken.sort()
    return LINE | {
        "device": torch.cuda.get_device_name(),
        "steps": STEPS,
        "median_us": round(quantile(taken, 0.5), 2),
        "p99_us": round(quantile(taken, 0.99), 2),
        "synchronised": waited,
        "delivered": collector.steps - WARM_UP_STEPS,
    }


def _steps(url: str) -> tuple[list[float], int]:
    """Return the microseconds of each step, and how many of them waited for the device."""
    work = torch.randn(WORK, WORK, device="cuda")
    taken, waited = [], 0
    with trimtab.watch(project="benchmark", url=url) as watch:
        for step in range(WARM_UP_STEPS + STEPS):
            loss = (work @ work).mean()
            norm, rate = loss * 2, loss * 3
            began = perf_counter_ns()
            if _waits(watch, loss, norm, rate):
                waited += 1
            if step >= WARM_UP_STEPS:
                taken.append((perf_counter_ns() - began) / 1e3)
    return taken, waited


def _waits(watch: trimtab.Watch, loss: torch.Tensor, norm: torch.Tensor, rate: torch.Tensor) -> bool:
    """Log a step; tell whether torch saw it wait."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        watch.step(loss=loss, grad_norm=norm, lr=rate)
    except RuntimeError:
        return True
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return False
