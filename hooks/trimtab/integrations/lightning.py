"""Watches a Lightning Trainer: `Trainer(..., callbacks=[TrimtabCallback()])`.

Under the name `lightning` and under `pytorch_lightning`. With `TRIMTAB_AUTO=1` every Trainer is watched with
no line of code (`trimtab.integrations.automatic`).

Every optimizer step is one row, on every rank, numbered as `trainer.global_step`; with manual optimization
every batch in which an optimizer has stepped. Nothing here waits for the device, and `log_every_n_steps` has
no part in it:

- `loss`: the mean of what `training_step` returned for the batches of the step. (Lightning hands callbacks
  that loss over `accumulate_grad_batches`; it is multiplied back.) It is this rank's loss.
- `grad_norm`: of the gradients before clipping and without the factor of mixed precision, over the parameters
  of all optimizers that stepped; under DDP over all ranks.
- `lr`: as the first optimizer's step was taken with it.
- `tokens`: the sum of what `count_tokens` returns for the batches of the step, if given.
- validation metrics, as `self.log` got them (a loss by any of its usual names, such as `val_loss`, is
  `eval_loss`), and checkpoints that a run can be resumed from, told by the first rank. The time that both
  take is not training's, and the sanity check before training is left out.

Lightning's loop cannot go back to an earlier step, so `rollback="auto"` is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import trimtab
from trimtab.capture.shards import is_sharded
from trimtab.guard import Guard, reason_of
from trimtab.integrations.arguments import usable, without_rollback
from trimtab.integrations.batches_of_step import BatchesOfStep
from trimtab.integrations.taps import Taps
from trimtab.usual_names import METRIC_NAMES, spelt
from trimtab.vocabulary import EVAL_LOSS

PACKAGES: Final = ("lightning.pytorch", "pytorch_lightning")
"""The two names of one framework; their classes are not the same."""

_DESCRIBES: Final = (
    "max_epochs",
    "max_steps",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "precision",
    "num_devices",
    "num_nodes",
    "val_check_interval",
    "check_val_every_n_epoch",
)
"""What of the Trainer is part of the run's config."""


class Hooks:
    """What Lightning calls, for a class that is a Callback too: watches each `fit()` as a run of its own.

    Takes the arguments of `trimtab.watch`; those that the Trainer knows (model, optimizer, scaler,
    total_steps, config) are filled in from it. `count_tokens(batch)` returns how many tokens a batch holds.

    Raises:
        ValueError: rollback="auto".
    """

    packages: tuple[str, ...] = ()
    automatic = False
    """Whether the environment asked for it, not the job's own code."""
    _metrics_before: Mapping[str, Any]

    def __init__(self, *, count_tokens: Callable[[Any], Any] | None = None, **watch_arguments: Any) -> None:
        self.watch: trimtab.Watch | None = None
        self._arguments = without_rollback(watch_arguments, "fit(ckpt_path=...)")
        self._count_tokens = count_tokens
        self._taps = Taps()
        self._begin()

    def __reduce__(self) -> Any:
        """Go to a process that Lightning spawns as it was made: what it watches does not go along."""
        made_here = type(self) is callback_class(*self.packages)
        kind = self.packages if made_here else type(self)
        return _made, (kind, self.automatic, self._count_tokens, self._arguments)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin a run; the sanity check is over."""
        self._end("failed", "fit() was left by an error and called again")
        self.watch = None
        if not self._counts(trainer):
            return
        self._begin()
        known: dict[str, Any] = {"model": pl_module}
        with self._guard.shield("what the Trainer knows"):
            known |= _what_the_trainer_knows(trainer, pl_module)
        with self._guard.shield("the run's config"):  # the job's own code has a part in it
            known["config"] = _config(trainer, pl_module)
        self.watch = trimtab.watch(**{**known, **self._arguments})
        self._steps = trainer.global_step
        with self._guard.shield("on_train_start"):
            self._sees_norms = not any(is_sharded(parameter) for parameter in pl_module.parameters())
            self._taps.calls(trainer, "save_checkpoint", self._saving(trainer, self.watch))
            if not pl_module.automatic_optimization and self._scaler(trainer) is None:
                self._taps.calls(trainer.precision_plugin, "clip_gradients", self._clipping)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Take the norm of gradients that are not clipped yet."""
        del pl_module
        if self.watch is None or not self._sees_norms:
            return
        with self._guard.shield("gradient norm"):
            # A fused optimizer gets them with the scaler's factor, and takes it off itself.
            fused = getattr(optimizer, "_step_supports_amp_scaling", False)
            if not fused or self._scaler(trainer) is None:
                self._batches.see_gradients(optimizer)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the step, if the batch was its last."""
        del batch_idx
        if self.watch is None:
            return
        if self._count_tokens is not None:
            with self._guard.shield("count_tokens"):
                self._batches.see_tokens(self._count_tokens(batch))
        with self._guard.shield("step"):
            share = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
            self._batches.see_outputs(outputs, share)
            if trainer.global_step != self._steps:
                self._steps = trainer.global_step
                result = self.watch.step(step=self._steps, **self._batches.take())
                trainer.should_stop = trainer.should_stop or result.stop

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Leave the time of a validation out."""
        del pl_module
        if self.watch is not None:
            with self._guard.shield("validation"):
                self._metrics_before = dict(trainer.callback_metrics)
                self._validation.enter_context(self.watch.phase("eval"))

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the metrics that the validation has logged."""
        del pl_module
        if self.watch is not None:
            self._validation.close()
            with self._guard.shield("validation"):
                new = {
                    _name(name): value
                    for name, value in trainer.callback_metrics.items()
                    if self._metrics_before.get(name) is not value
                }
                if new and trainer.is_global_zero:
                    self.watch.record(**new)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """End the run, after the last checkpoint."""
        del trainer, pl_module
        self._end("finished")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End the run with what went wrong."""
        del trainer, pl_module
        self._end("failed", reason_of(exception))

    def _begin(self) -> None:
        self._guard = Guard()
        self._batches = BatchesOfStep()
        self._metrics_before = {}
        self._validation = ExitStack()
        self._sees_norms = False
        self._steps = 0

    def _end(self, status: Any, reason: str | None = None) -> None:
        self._taps.remove()
        if self.watch is not None and self.watch.over is None:
            self.watch.end(status, reason)

    def _counts(self, trainer: Any) -> bool:
        """Whether this is the one that watches: the first of its kind, those of the job's own code before."""
        ours = [each for each in trainer.callbacks if isinstance(each, Hooks)]
        return min(ours, key=lambda each: each.automatic, default=self) is self

    @staticmethod
    def _scaler(trainer: Any) -> Any:
        return usable(getattr(trainer.precision_plugin, "scaler", None), "state_dict", "get_scale")

    def _saving(self, trainer: Any, watch: trimtab.Watch) -> Any:
        @contextmanager
        def saving(filepath: Any, weights_only: bool | None = None, *_: Any, **__: Any) -> Iterator[None]:
            with watch.phase("checkpoint"):
                yield
            if trainer.is_global_zero and not weights_only:  # weights alone resume nothing
                watch.checkpoint_saved(filepath)

        return saving

    @contextmanager
    def _clipping(self, optimizer: Any, *_: Any, **__: Any) -> Iterator[None]:
        """The job's own step clips: the norm has to be taken before."""
        if self._sees_norms:
            with self._guard.shield("gradient norm"):
                self._batches.see_gradients(getattr(optimizer, "_optimizer", optimizer), clips=True)
        yield


@cache
def callback_class(*packages: str) -> type[Any]:
    """Return the callback for Trainers of the named packages, which are imported."""
    bases = tuple(import_module(package).Callback for package in packages)
    fields = {"__doc__": Hooks.__doc__, "__module__": __name__, "packages": packages}
    return type("TrimtabCallback", (Hooks, *bases), fields)


def _made(kind: Any, automatic: bool, count_tokens: Any, arguments: dict[str, Any]) -> Any:
    made_class = callback_class(*kind) if isinstance(kind, tuple) else kind
    made = made_class(count_tokens=count_tokens, **arguments)
    made.automatic = automatic
    return made


def _packages_in_use() -> tuple[str, ...]:
    """Return the names that the job has imported, or else those that are installed."""
    used = tuple(package for package in PACKAGES if package in sys.modules)
    found = used or tuple(package for package in PACKAGES if find_spec(package.partition(".")[0]))
    if not found:
        raise ImportError("trimtab.integrations.lightning needs Lightning: pip install lightning")
    return found


if TYPE_CHECKING:
    from lightning.pytorch import Callback

    class TrimtabCallback(Hooks, Callback):
        """Watches each `fit()`."""

else:
    TrimtabCallback = callback_class(*_packages_in_use())


def _name(logged: str) -> str:
    return EVAL_LOSS if spelt(logged) in METRIC_NAMES[EVAL_LOSS] else logged


def _config(trainer: Any, pl_module: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "trainer": {name: getattr(trainer, name, None) for name in _DESCRIBES},
        "model": type(pl_module).__name__,
        "hparams": dict(pl_module.hparams),
    }
    config["trainer"]["strategy"] = type(trainer.strategy).__name__
    data = getattr(trainer, "datamodule", None)
    if data is not None:
        config["data"] = dict(data.hparams)
    return config


def _what_the_trainer_knows(trainer: Any, pl_module: Any) -> dict[str, Any]:
    optimizers = [each for each in trainer.optimizers if usable(each, "param_groups", "state_dict")]
    return {
        "optimizer": optimizers or None,
        "scaler": Hooks._scaler(trainer),
        "total_steps": _total_steps(trainer, pl_module),
    }


def _total_steps(trainer: Any, pl_module: Any) -> int | None:
    """Return at how many steps of all optimizers the training ends; None where that is open."""
    by_itself = pl_module.automatic_optimization  # else a batch may have any number of steps
    estimated = trainer.estimated_stepping_batches if by_itself else trainer.max_steps
    return int(estimated) if 0 < estimated < float("inf") else None
