"""What trainers and trackers call the standard metrics and the step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from trimtab.vocabulary import EVAL_LOSS, GRAD_NORM, LOSS, LOSS_SCALE, LR, STEP_SECONDS

STEP_NAMES: Final = (
    "step",
    "global_step",
    "iteration",
    "iter",
    "train_step",
    "trainer_global_step",
    "train_global_step",
    "num_updates",
)
METRIC_NAMES: Final[dict[str, tuple[str, ...]]] = {
    LOSS: (
        "loss",
        "train_loss",
        "training_loss",
        "loss_train",
        "loss_training",
        "train_total_loss",
        "total_loss",
        "train_loss_step",
        "loss_step",
        "lm_loss",
        "train_lm_loss",
        "loss_train_total",
        "train_crossentropyloss",
        "loss_metrics_global_avg_loss",
        "train_samples_train_loss",
        "train_inner_loss",
        "batch_loss",
        "epoch_loss",
        "train_loss_epoch",
    ),
    GRAD_NORM: (
        "grad_norm",
        "train_grad_norm",
        "training_grad_norm",
        "gradient_norm",
        "train_gradient_norm",
        "grad_norm_train",
        "gnorm",
        "train_gnorm",
        "train_inner_gnorm",
        "total_grad_norm",
        "optim_total_grad_norm",
        "global_grad_norm",
        "grad_norm_total",
        "grad_2_0_norm_total",
    ),
    LR: (
        "lr",
        "learning_rate",
        "train_lr",
        "train_learning_rate",
        "training_lr",
        "training_learning_rate",
        "lr_train",
        "optim_learning_rate_group0",
        "train_samples_lr",
        "train_inner_lr",
    ),
    EVAL_LOSS: (
        "eval_loss",
        "evaluation_loss",
        "val_loss",
        "valid_loss",
        "validation_loss",
        "loss_eval",
        "loss_val",
        "loss_valid",
        "loss_validation",
        "dev_loss",
        "lm_loss_validation",
    ),
    LOSS_SCALE: ("loss_scale", "train_loss_scale", "train_samples_loss_scale"),
    STEP_SECONDS: (
        "step_seconds",
        "step_time",
        "train_step_time",
        "iteration_time",
        "train_step_seconds",
    ),
}
"""Each standard metric, and how trainers and trackers call it, the likeliest first, as `spelt`."""


@lru_cache(4096)
def spelt(name: str) -> str:
    """A name without what tells spellings apart only: case, and whatever stands between the words.

    >>> spelt("train/loss"), spelt("Train Loss"), spelt("_step")
    ('train_loss', 'train_loss', 'step')
    """
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def named(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """Return the one of `names` that is called as in `wanted`, the likeliest first."""
    known = {spelt(name): name for name in reversed(list(names))}
    return next((known[name] for name in wanted if name in known), None)
