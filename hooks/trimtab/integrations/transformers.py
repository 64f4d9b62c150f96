"""Watches a transformers Trainer: `Trainer(..., callbacks=[TrimtabCallback()])`, or `report_to="trimtab"`.

Every optimizer step is one row, on every rank. Its values come from where the Trainer computes them, so
neither `logging_steps` nor `logging_nan_inf_filter`, which hides a NaN from the logs by default, has any
part in it:

- `loss`: what `training_step` returned, summed over the micro-steps of gradient accumulation: the Trainer
  scales each of them so that their sum is the mean of the step. It is this rank's loss.
- `grad_norm`: what the Trainer's clipping returned: the norm before clipping, over all ranks, also where
  `max_grad_norm` is 0. (In `on_pre_optimizer_step` gradients are clipped already.)
- `lr`: as the optimizer's step was taken with it.
- `tokens`: this step's, where the Trainer counts them (`include_num_input_tokens_seen`); else give
  `tokens_per_step`.
- what is logged besides (`trainer.log({"reward": ...})`), evaluation metrics and checkpoints, told by the
  first rank. The time that an evaluation or a checkpoint takes is not training's.

The Trainer's loop cannot go back to an earlier step, so `rollback="auto"` is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import trimtab
from trimtab.guard import Guard, reason_of
from trimtab.integrations.arguments import calling, short_name, usable, without_rollback
from trimtab.integrations.taps import Taps

try:
    from transformers import Trainer, TrainerCallback
    from transformers.integrations import integration_utils
except ImportError as error:
    raise ImportError(
        "trimtab.integrations.transformers needs transformers: pip install transformers"
    ) from error

LOG = logging.getLogger("trimtab")

REPORT_TO: Final = "trimtab"
"""The name for `TrainingArguments(report_to=...)`."""

_SPEED: Final = ("_runtime", "_per_second", "_time")
"""Endings of the metrics that say how long something took."""
_KNOWN_BETTER: Final = frozenset(
    ("loss", "grad_norm", "learning_rate", "epoch", "train_loss", "total_flos", "num_input_tokens_seen")
)
"""What the Trainer logs itself: each is seen at every step, or describes the run when it is over."""


class TrimtabCallback(TrainerCallback):
    """Watches each `train()` of a Trainer as a run of its own.

    Takes the arguments of `trimtab.watch`; those that the Trainer knows (model, optimizer, scheduler, name,
    total_steps, config) are filled in from it.

    Raises:
        ValueError: rollback="auto".
    """

    by_name = False
    """Whether `report_to` asked for it, not the job's own code."""

    def __init__(self, **watch_arguments: Any) -> None:
        self.watch: trimtab.Watch | None = None
        self._arguments = without_rollback(watch_arguments, "resume_from_checkpoint")
        self._taps = Taps()
        self._guard = Guard()
        self._losses: list[Any] = []
        self._grad_norm: Any = None
        self._tokens_before = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin a run, and listen to the Trainer that calls this."""
        del control
        self._taps.remove()
        if self.watch is not None:  # closed already, unless the training before ended with an error
            self.watch.end("failed", "train() was left by an error and called again")
            self.watch = None
        trainer = calling(Trainer)
        if trainer is not None and not self._counts(trainer):
            return
        self._guard = Guard()
        known = _what_the_trainer_knows(trainer, args, state, kwargs)
        with self._guard.shield("the run's config"):  # the model's own code has a part in it
            known["config"] = _config(args, kwargs.get("model"))
        self.watch = trimtab.watch(**{**known, **self._arguments})
        self._tokens_before = state.num_input_tokens_seen
        self._losses.clear()
        if trainer is None:
            LOG.warning("trimtab: on_train_begin is not called by a transformers Trainer: no loss is seen")
            return
        with self._guard.shield("on_train_begin"):
            self._listen(trainer, self.watch)

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

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record what the job logs beside the Trainer's own, as trainers with rewards do."""
        del args, control
        logged = _numbers(kwargs.get("logs") or {})
        if self.watch is not None and state.is_world_process_zero:
            besides = {
                name: value
                for name, value in logged.items()
                if name not in _KNOWN_BETTER and not name.startswith("eval_")
            }
            if besides:
                self.watch.record(**besides)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the evaluation's metrics; `eval_loss` is one of them."""
        del args, control
        if self.watch is not None and state.is_world_process_zero:
            self.watch.record(**_numbers(kwargs.get("metrics") or {}))

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

    def _counts(self, trainer: Trainer) -> bool:
        """Whether this is the one that watches: the first of its kind, those of the job's own code before."""
        ours = [each for each in trainer.callback_handler.callbacks if isinstance(each, TrimtabCallback)]
        return not ours or min(ours, key=lambda each: each.by_name) is self

    def _listen(self, trainer: Trainer, watch: trimtab.Watch) -> None:
        self._taps.results(trainer, "training_step", self._losses.append)
        if hasattr(trainer, "_get_grad_norm"):  # whichever way it clips
            self._taps.results(trainer, "_get_grad_norm", self._see_grad_norm)
        else:
            self._taps.results(trainer.accelerator, "clip_grad_norm_", self._see_grad_norm)
        self._taps.calls(trainer, "evaluate", lambda *_, **__: watch.phase("eval"))
        self._taps.calls(trainer, "_save_checkpoint", lambda *_, **__: watch.phase("checkpoint"))
        for name in ("training_step", "get_batch_samples", "evaluate", "_save_checkpoint"):
            self._taps.errors(trainer, name, self._fail)

    def _see_grad_norm(self, norm: Any) -> None:
        if not hasattr(norm, "full_tensor"):  # else a share of it: the optimizer's gradients tell more
            self._grad_norm = norm

    def _fail(self, error: BaseException) -> None:
        """End the run: what leaves one of the loop's methods leaves `train()`."""
        self._taps.remove()
        if self.watch is not None:
            self.watch.end("failed", reason_of(error))

    def _tokens(self, state: Any) -> dict[str, Any]:
        if state.num_input_tokens_seen == self._tokens_before:
            return {}
        tokens, self._tokens_before = (
            state.num_input_tokens_seen - self._tokens_before,
            state.num_input_tokens_seen,
        )
        return {"tokens": tokens}


class ReportingCallback(TrimtabCallback):
    """What `report_to="trimtab"` puts into a Trainer; TRIMTAB_PROJECT and the like are its arguments."""

    by_name = True


def register(where: Any = integration_utils) -> bool:
    """Let `report_to="trimtab"` name the callback; `where` is the module with the Trainer's names.

    There is no function to register with: the name goes into the dict that the Trainer looks it up in. Where
    it is gone, the log says so, and `callbacks=[TrimtabCallback()]` does the same.
    """
    names = getattr(where, "INTEGRATION_TO_CALLBACK", None)
    if not isinstance(names, dict):
        LOG.warning(
            "trimtab: this release of transformers has no INTEGRATION_TO_CALLBACK: report_to='trimtab' is "
            "not known to it: use Trainer(callbacks=[TrimtabCallback()])"
        )
        return False
    names[REPORT_TO] = ReportingCallback
    return True


def _what_the_trainer_knows(
    trainer: Trainer | None, args: Any, state: Any, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    accelerator = getattr(trainer, "accelerator", None)
    return {
        "model": kwargs.get("model"),
        "optimizer": usable(kwargs.get("optimizer"), "param_groups", "state_dict"),
        "scheduler": usable(kwargs.get("lr_scheduler"), "state_dict"),
        "scaler": usable(getattr(accelerator, "scaler", None), "state_dict", "get_scale"),
        "name": short_name(state.trial_name or args.run_name),
        "total_steps": state.max_steps if state.max_steps > 0 else None,
    }


def _config(args: Any, model: Any) -> dict[str, Any]:
    """Return what describes the training, and the model where it can tell of itself."""
    config = {"training_arguments": args.to_sanitized_dict()}
    model_config = getattr(model, "config", None)
    if model_config is not None and hasattr(model_config, "to_diff_dict"):
        config["model"] = model_config.to_diff_dict()
    return config


def _numbers(logged: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of what is logged, without how long it took."""
    return {
        name: float(value)
        for name, value in logged.items()
        if isinstance(value, int | float) and name != "epoch" and not name.endswith(_SPEED)
    }


register()
