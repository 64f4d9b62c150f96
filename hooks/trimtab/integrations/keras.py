"""Watches `fit` of Keras 3: `model.fit(..., callbacks=[TrimtabCallback()])`.

Each batch is one row:

- `loss`: the batch's. Keras tells callbacks the mean over the epoch so far, in which a spike is lost and a
  NaN stays to the end. With the torch backend the loss is what `compute_loss` returned, and is not read; with
  JAX and TensorFlow it is worked out from the means, as if all batches were of one size, and after a NaN is
  unknown until the epoch ends. (Only the torch backend is tested.)
- `grad_norm`, with the torch backend: of the gradients before Keras clips them.
- `lr`: as the step was taken with it; with other backends only where it is no schedule.
- at the end of an epoch the validation's metrics, `val_loss` as `eval_loss`. Its time is not training's.

Callbacks of Keras cannot go back to an earlier step, so `rollback="auto"` is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import trimtab
from trimtab.capture.gradient_pass import GradientPass
from trimtab.guard import Guard
from trimtab.integrations.arguments import without_rollback
from trimtab.integrations.taps import Taps

try:
    import keras  # type: ignore[import-untyped]
except ImportError as error:
    raise ImportError("trimtab.integrations.keras needs Keras 3: pip install keras") from error


class TrimtabCallback(keras.callbacks.Callback):  # type: ignore[misc]  # it has no types
    """Watches each `fit` as a run of its own.

    Takes the arguments of `trimtab.watch`; model, total_steps and config are filled in.

    Raises:
        ValueError: rollback="auto".
    """

    async_safe = False

    def __init__(self, **watch_arguments: Any) -> None:
        super().__init__()
        self.watch: trimtab.Watch | None = None
        self._arguments = without_rollback(watch_arguments, "a saved model")
        self._on_torch = keras.backend.backend() == "torch"
        self._guard = Guard()
        self._begins = False
        self._taps = Taps()
        self._pauses = ExitStack()
        self._validates = False
        self._loss: Any = None
        self._lr: Any = None
        self._gradients: GradientPass | None = None
        self._means = Unaveraged()
        self._done = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """A training begins; its run begins with its first epoch, whose number Keras tells only then."""
        del logs
        self._taps.remove()
        if self.watch is not None:  # closed already, unless the training before ended with an error
            self.watch.end("failed", "fit() was left by an error and called again")
        self._begins = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """The means begin anew, and so does the run if this is its first epoch."""
        del logs
        self._means = Unaveraged()
        if self._begins:
            self._begins = False
            self._begin(epoch)

    def _begin(self, epoch: int) -> None:
        """Begin a run; its steps are counted from the batches that the optimizer has taken."""
        known: dict[str, Any] = {}
        with self._guard.shield("what Keras knows"):
            self._done = self._batches_taken()
            known = self._what_keras_knows(epoch)
        self._gradients = None
        self.watch = trimtab.watch(**{**known, **self._arguments})
        with self._guard.shield("on_train_begin"):
            if self._on_torch:
                self._taps.results(self.model, "compute_loss", self._see_loss)
                weights = [variable.value for variable in self.model.trainable_variables]
                self._gradients = GradientPass(SimpleNamespace(param_groups=[{"params": weights}]))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Note the rate before the step changes it."""
        del batch, logs
        self._loss = self._lr = None
        with self._guard.shield("learning rate"):
            self._lr = self._rate()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the step."""
        del batch
        if self.watch is None:
            return
        self._done += 1
        loss = grad_norm = None
        with self._guard.shield("gradient norm"):
            grad_norm = self._grad_norm()
        with self._guard.shield("loss"):
            loss = self._batch_loss(logs or {})
        if self.watch.step(loss=loss, lr=self._lr, grad_norm=grad_norm, step=self._done).stop:
            self.model.stop_training = True

    def on_test_begin(self, logs: Any = None) -> None:
        """A validation begins: its losses are not the training's."""
        del logs
        self._validates = True
        if self.watch is not None:
            self._pauses.enter_context(self.watch.phase("eval"))

    def on_test_end(self, logs: Any = None) -> None:
        """It is over."""
        del logs
        self._validates = False
        self._pauses.close()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the validation's metrics."""
        del epoch
        told = {f"eval_{name[4:]}": value for name, value in (logs or {}).items() if name[:4] == "val_"}
        if self.watch is not None and told:
            self.watch.record(**told)

    def on_train_end(self, logs: Any = None) -> None:
        """End the run."""
        del logs
        self._taps.remove()
        if self.watch is not None:
            self.watch.close()

    def _batches_taken(self) -> int:
        """Return how many batches the optimizer has seen: of several that it accumulates Keras counts one."""
        optimizer = self.model.optimizer
        steps = getattr(optimizer.iterations, "value", optimizer.iterations)
        return int(steps) * (optimizer.gradient_accumulation_steps or 1)

    def _what_keras_knows(self, epoch: int) -> dict[str, Any]:
        epochs, steps = self.params.get("epochs"), self.params.get("steps")
        return {
            "model": self.model if self._on_torch else None,
            "total_steps": self._done + (epochs - epoch) * steps if epochs and steps else None,
            "config": {"model": self.model.name, "optimizer": self.model.optimizer.get_config()},
        }

    def _see_loss(self, loss: Any) -> None:
        if not self._validates:
            self._loss = loss.detach() if hasattr(loss, "detach") else loss

    def _batch_loss(self, logs: Mapping[str, Any]) -> Any:
        if self._loss is not None or self._on_torch:
            return logs.get("loss") if self._loss is None else self._loss
        return self._means.next(logs["loss"]) if "loss" in logs else None

    def _grad_norm(self) -> Any:
        optimizer = self.model.optimizer
        if self._gradients is None or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return None
        norm = self._gradients.norm()
        factor = optimizer.loss_scale_factor
        return norm if norm is None or factor is None else norm / factor

    def _rate(self) -> Any:
        optimizer = self.model.optimizer
        if not self._on_torch and isinstance(
            optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule
        ):
            return None
        rate = optimizer.learning_rate
        rate = getattr(rate, "value", rate)
        return rate.detach().clone() if hasattr(rate, "detach") else float(rate)


class Unaveraged:
    """Works the single values out of their running means, weighted alike.

    >>> means = Unaveraged()
    >>> [means.next(mean) for mean in (4.0, 3.0, 4.0)]
    [4.0, 2.0, 6.0]
    """

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0

    def next(self, mean: float) -> float | None:
        """Return the value with which the mean became this one; None where a NaN before hides it."""
        hidden = not math.isfinite(self._sum)
        self._count += 1
        before, self._sum = self._sum, float(mean) * self._count
        return None if hidden else self._sum - before
