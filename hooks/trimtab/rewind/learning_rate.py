"""A cut of the learning rate that lasts: in the optimizer's groups and in what its scheduler starts from.

A scheduler sets the rate anew at its next step, so a cut of `group["lr"]` alone would be undone there. The
rates are kept in several places, by scheduler: `initial_lr`, `max_lr` and `min_lr` in the groups
(OneCycleLR), `base_lrs` and `max_lrs` in the scheduler (LambdaLR, CosineAnnealingWarmRestarts, CyclicLR),
and the schedulers inside a SequentialLR or ChainedScheduler.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

_GROUP_RATES: Final = ("lr", "initial_lr", "max_lr", "min_lr")
_SCHEDULER_RATES: Final = ("base_lrs", "max_lrs", "_last_lr")


def scale(optimizers: Iterable[Any], schedulers: Iterable[Any], factor: float) -> None:
    """Multiply every learning rate, and what schedulers start from, by `factor`, more than 0.

    Floors that a scheduler holds as a rate of its own (`eta_min`, `min_lrs`) stay as they are.

    Raises:
        ValueError: the factor is not a finite number above 0.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"lr_factor: {factor!r}: give a finite number above 0")
    if factor == 1.0:
        return
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            _scale_group(group, factor)
    for scheduler in schedulers:
        _scale_scheduler(scheduler, factor)


def _scale_group(group: dict[str, Any], factor: float) -> None:
    for name in _GROUP_RATES:
        if group.get(name) is not None:
            group[name] = _scaled(group[name], factor)


def _scale_scheduler(scheduler: Any, factor: float) -> None:
    for name in _SCHEDULER_RATES:
        rates = getattr(scheduler, name, None)
        if isinstance(rates, list):
            setattr(scheduler, name, [rate * factor for rate in rates])
    for inner in (*getattr(scheduler, "_schedulers", ()), getattr(scheduler, "scheduler", None)):
        if inner is not None:
            _scale_scheduler(inner, factor)


def _scaled(rate: Any, factor: float) -> Any:
    if hasattr(rate, "mul_"):  # a capturable optimizer reads its rate from this very tensor
        return rate.mul_(factor)
    return rate * factor
