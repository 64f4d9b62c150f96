"""Watches a loop that trains with Accelerate: `Accelerator(log_with="trimtab")`, after this was imported.

    import trimtab.integrations.accelerate
    accelerator = Accelerator(log_with="trimtab")
    accelerator.init_trackers("gpt", config, init_kwargs={"trimtab": {"total_steps": 1000}})

Each step of the first optimizer that was prepared is one row, on each process that calls `init_trackers`
(Accelerate itself makes trackers on the main process only, so that the others see nothing of it):

- `loss`: what `accelerator.backward` got, the mean over the micro-steps of gradient accumulation. It is this
  rank's, and is not read: no `.item()`.
- `grad_norm`: what `accelerator.clip_grad_norm_` returned, before clipping and over all ranks; in a loop that
  does not clip, of the gradients as the optimizer gets them.
- `lr`: as the optimizer's step was taken with it.

What the main process gives to `accelerator.log` belongs to the step under way if its backward pass is done,
else to the last one, whatever `step=` says there: many loops log their epochs. `init_kwargs={"trimtab":
{...}}` takes the arguments of `trimtab.watch`, and `done`: the steps that were done before, in a job that
goes on from a checkpoint.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import trimtab
from trimtab.guard import Guard
from trimtab.integrations.arguments import calling, usable
from trimtab.integrations.taps import Taps
from trimtab.vocabulary import GRAD_NORM, LOSS, LR

try:
    from accelerate import Accelerator  # type: ignore[import-untyped]
    from accelerate.tracking import (  # type: ignore[import-untyped]
        GeneralTracker,
        register_tracker_class,
    )
except ImportError as error:
    raise ImportError("trimtab.integrations.accelerate needs accelerate: pip install accelerate") from error

LOG = logging.getLogger("trimtab")

_MEASURED: Final = ("step", GRAD_NORM, LR)


class TrimtabTracker(GeneralTracker):  # type: ignore[misc]  # it has no types
    """Watches one training; made by `Accelerator.init_trackers`, on every rank.

    `tracker` is the `trimtab.Watch`, None until the first backward pass: only then is all prepared. `stop`:
    the collector asks the loop to end.

    Raises:
        ValueError: rollback="auto".
    """

    name = "trimtab"
    requires_logging_directory = False
    main_process_only = False

    def __init__(self, project: str, *, done: int = 0, **watch_arguments: Any) -> None:
        super().__init__()
        if watch_arguments.get("rollback") == "auto":
            raise ValueError(
                "rollback: 'auto': a step ends within optimizer.step(), before the loop's scheduler: use "
                "'advise', or call trimtab.watch() and watch.step() in the loop"
            )
        self.stop = False
        self._arguments = {"project": project, **watch_arguments}
        self._done = done
        self._accelerator = calling(Accelerator)
        self._watch: trimtab.Watch | None = None
        self._taps = Taps()
        self._guard = Guard()
        self._losses: Any = None
        self._micro_steps = 0
        self._grad_norm: Any = None
        self._logged: dict[str, Any] = {}
        self._sees_loss = False
        self._sees_steps = False

    @property
    def tracker(self) -> trimtab.Watch | None:
        """The watch."""
        return self._watch

    def start(self) -> None:
        """Listen to the Accelerator that calls this."""
        accelerator = self._accelerator
        if accelerator is None:
            LOG.warning("trimtab: the tracker is not made by an Accelerator: only what is logged is seen")
            return
        self._taps.calls(accelerator, "backward", self._backward)
        self._taps.results(accelerator, "clip_grad_norm_", self._see_grad_norm)
        self._taps.calls(accelerator, "save_state", self._saving)
        self._taps.results(accelerator, "save_state", self._saved)

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Keep the configuration that `init_trackers` got, for the run's registration."""
        self._arguments.setdefault("config", values)

    def log(self, values: Mapping[str, Any], step: int | None = None, **_: Any) -> None:
        """Record what is a number with its step; where no steps are seen, it is a step of its own."""
        watch = self._begun()
        told = {
            str(name): value
            for name, value in values.items()
            if not isinstance(value, str | Mapping) and not self._has(str(name))
        }
        if self._sees_steps and self._micro_steps:
            self._logged.update(told)
        elif self._sees_steps or (step is not None and step == watch.step_number):
            watch.record(**told)
        else:
            watch.step(step=step, **told)

    def finish(self) -> None:
        """End the run."""
        self._taps.remove()
        if self._watch is not None:
            if self._logged:
                self._watch.record(**self._logged)
            self._watch.close()

    def _has(self, name: str) -> bool:
        """Whether the rows of the steps have this metric, better than the loop logs it."""
        if not self._sees_steps:
            return name == "step"
        return name in _MEASURED or (name == LOSS and self._sees_loss)

    def _begun(self) -> trimtab.Watch:
        """Return the watch; the first time, begin it with what the Accelerator has prepared."""
        if self._watch is None:
            optimizers = [] if self._accelerator is None else self._accelerator._optimizers
            self._watch = trimtab.watch(**{**_prepared(self._accelerator), **self._arguments})
            if optimizers:
                self._sees_steps = True
                self._taps.results(optimizers[0], "step", self._see_step)
        return self._watch

    @contextmanager
    def _backward(self, loss: Any = None, **_: Any) -> Iterator[None]:
        self._begun()
        if loss is not None and self._sees_steps:
            self._sees_loss = True
            with self._guard.shield("loss"):
                self._add(loss.detach() if hasattr(loss, "detach") else loss)
        yield

    def _add(self, loss: Any) -> None:
        """Add a micro-step's loss to those of the step under way."""
        self._losses = loss if self._losses is None else self._losses + loss
        self._micro_steps += 1

    def _see_grad_norm(self, norm: Any) -> None:
        self._grad_norm = norm

    def _see_step(self, _: Any) -> None:
        """Record a step, unless it was one of the optimizer's that only accumulate."""
        if self._watch is None or self._accelerator is None or not self._accelerator.sync_gradients:
            return
        losses, self._losses = self._losses, None
        micro_steps, self._micro_steps = self._micro_steps, 0
        grad_norm, self._grad_norm = self._grad_norm, None
        logged, self._logged = self._logged, {}
        if micro_steps:
            with self._guard.shield("loss"):
                logged[LOSS] = losses if micro_steps == 1 else losses / micro_steps
        result = self._watch.step(grad_norm=grad_norm, step=self._next(), **logged)
        self.stop = self.stop or result.stop

    def _next(self) -> int | None:
        """Return the number of the first step of a job that goes on; the watch counts from there."""
        done, self._done = self._done, 0
        return done + 1 if done else None

    def _saving(self, *_: Any, **__: Any) -> Any:
        return nullcontext() if self._watch is None else self._watch.phase("checkpoint")

    def _saved(self, path: Any) -> None:
        if self._watch is not None and self._accelerator is not None and self._accelerator.is_main_process:
            self._watch.checkpoint_saved(path)


def _prepared(accelerator: Accelerator | None) -> dict[str, Any]:
    """Return the arguments of `watch` that an Accelerator knows."""
    if accelerator is None:
        return {}
    models = [usable(each, "parameters", "state_dict") for each in accelerator._models]
    optimizers = [usable(each, "param_groups", "state_dict") for each in accelerator._optimizers]
    return {
        "model": [each for each in models if each is not None] or None,
        "optimizer": [each for each in optimizers if each is not None] or None,
        "scaler": usable(accelerator.scaler, "state_dict", "get_scale"),
    }


def _on_every_rank(init_trackers: Callable[..., None]) -> Callable[..., None]:
    """Make a tracker on the ranks that Accelerate leaves out: each is watched, so that a slow one is seen."""

    @functools.wraps(init_trackers)
    def wrapped(
        self: Any,
        project_name: str,
        config: dict[str, Any] | None = None,
        init_kwargs: dict[str, Any] | None = None,
    ) -> None:
        init_trackers(self, project_name, config, init_kwargs)
        asked = TrimtabTracker.name in map(str, self.log_with)
        if not asked or any(isinstance(tracker, TrimtabTracker) for tracker in self.trackers):
            return
        tracker = TrimtabTracker(project_name, **(init_kwargs or {}).get(TrimtabTracker.name, {}))
        self.trackers.append(tracker)
        tracker.start()
        if config is not None:
            tracker.store_init_configuration(config)

    return wrapped


register_tracker_class(TrimtabTracker)
Accelerator.init_trackers = _on_every_rank(Accelerator.init_trackers)
