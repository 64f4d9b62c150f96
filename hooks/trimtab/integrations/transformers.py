"""Watches a transformers Trainer: `Trainer(..., callbacks=[TrimtabCallback()])`.

Every optimizer step is one row, on every rank. Its values come from where the Trainer computes them, so
neither `logging_steps` nor `logging_nan_inf_filter`, which hides a NaN from the logs by default, has any
part in it:

- `loss`: what `training_step` returned, summed over the micro-steps of gradient accumulation. The Trainer
scales each
  of them so that their sum is the mean of the step. It is this rank's loss.
- `grad_norm`: what the accelerator's `clip_grad_norm_` returned: the norm before clipping, over all ranks.
The
  Trainer calls it without `max_grad_norm` too. (In `on_pre_optimizer_step` gradients are clipped already.)
- `lr`: as the optimizer's step was taken with it.
- `tokens`: this step's, where the Trainer counts them (`include_num_input_tokens_seen`); else give
`tokens_per_step`. - evaluation metrics and checkpoints, told by the first rank. The time that they take is
not training's.

The Trainer's loop cannot go back to an earlier step, so `rollback="auto"` is refused.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

import trimtab
from trimtab.integrations.taps import Taps

try:
    from transformers import Trainer, TrainerCallback
except ImportError as error:
    raise ImportError(
        "trimtab.integrations.transformers needs transformers: pip install transformers"
    ) from error

LOG = logging.getLogger("trimtab")

_SPEED: Final = ("_runtime", "_per_second", "_time")
"""Endings of the evaluation metrics that say how long it took."""


class TrimtabCallback(TrainerCallback):
    """Watches each `train()` of a Trainer as a run of its own.

    Takes the arguments of `trimtab.watch`; those that the Trainer knows (model, optimizer, scheduler, name,
    total_steps, config) are filled in from it.

    Raises:
        ValueError: rollback="auto".
    """

    def __init__(self, **watch_arguments: Any) -> None:
        if watch_arguments.get("rollback") == "auto":
            raise ValueError(
                "rollback: 'auto': the Trainer's loop cannot go back to an earlier step: use 'advise', and "
                "restart it with resume_from_checkpoint"
            )
        self.watch: trimtab.Watch | None = None
        self._arguments = watch_arguments
        self._taps = Taps()
        self._losses: list[Any] = []
        self._grad_norm: Any = None
        self._tokens_before = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin a run, and listen to the Trainer that calls this."""
        del control
        self._taps.remove()
        if self.watch is not None:  # closed already, unless the training before ended with an error
            self.watch.end("failed", "train() was left by an error and called again")
        trainer = _calling_trainer()
        self.watch = trimtab.watch(**{**_what_the_trainer_knows(args, state, kwargs), **self._arguments})
        self._tokens_before = state.num_input_tokens_seen
        self._losses.clear()
        if trainer is None:
            LOG.warning("trimtab: on_train_begin is not called by a transformers Trainer: no loss is seen")
            return
        watch = self.watch
        self._taps.results(trainer, "training_step", self._losses.append)
        self._taps.results(trainer.accelerator, "clip_grad_norm_", self._see_grad_norm)
        self._taps.calls(trainer, "evaluate", lambda: watch.phase("eval"))
        self._taps.calls(trainer, "_save_checkpoint", lambda: watch.phase("checkpoint"))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Record the step."""
        del args, kwargs
        losses, self._losses[:] = list(self._losses), []
        grad_norm, self._grad_norm = self._grad_norm, None
        if self.watch is None:
            return control
        result = self.watch.step(
            loss=sum(losses[1:], losses[0]) if losses else None,
            grad_norm=grad_norm,
            step=state.global_step,
            **self._tokens(state),
        )
        control.should_training_stop = control.should_training_stop or result.stop
        return control

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the evaluation's metrics."""
        del args, control
        if self.watch is not None and state.is_world_process_zero:
            self.watch.record(**_evaluation(kwargs.get("metrics") or {}))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell of the checkpoint."""
        del control, kwargs
        if self.watch is not None and state.is_world_process_zero:
            self.watch.checkpoint_saved(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the run."""
        del args, state, control, kwargs
        self._taps.remove()
        if self.watch is not None:
            self.watch.close()

    def _see_grad_norm(self, norm: Any) -> None:
        self._grad_norm = norm

    def _tokens(self, state: Any) -> dict[str, Any]:
        if state.num_input_tokens_seen == self._tokens_before:
            return {}
        tokens, self._tokens_before = (
            state.num_input_tokens_seen - self._tokens_before,
            state.num_input_tokens_seen,
        )
        return {"tokens": tokens}


def _what_the_trainer_knows(args: Any, state: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    model = kwargs.get("model")
    model_config = getattr(model, "config", None)
    config = {"training_arguments": args.to_sanitized_dict()}
    if model_config is not None and hasattr(model_config, "to_diff_dict"):
        config["model"] = model_config.to_diff_dict()
    return {
        "model": model,
        "optimizer": kwargs.get("optimizer"),
        "scheduler": kwargs.get("lr_scheduler"),
        "project": "transformers",
        "name": args.run_name,
        "total_steps": state.max_steps or None,
        "config": config,
    }


def _evaluation(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of an evaluation without how long it took; `eval_loss` is one of them."""
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and name != "epoch" and not name.endswith(_SPEED)
    }


def _calling_trainer() -> Trainer | None:
    """Return the Trainer whose loop this call comes from: callbacks are not handed it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, Trainer):
            return caller
        frame = frame.f_back
    return None
