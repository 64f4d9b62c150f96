"""Reads gradients and learning rate from the optimizer, so that the loop need not hand them over.

Gradients are looked at by a hook that runs as the optimizer's `step` begins: one pass, on their device,
nothing read back. What it sees:

- Gradients as the optimizer gets them, so after the loop's own clipping. The value that `clip_grad_norm_`
  returns is the better one: pass it as `watch.step(grad_norm=...)`, and the norm is taken here no more.
- Gradients without the factor of a GradScaler: `scaler.step` unscales them first, or, for fused optimizers,
  hands its scale to the optimizer, and the norm is divided by it. A step that the scaler skips has no norm;
  `loss_scale` drops.
- Gradients of a closure as they are after the step: before it there are none, or old ones. Where steps are
  masked, as the closure leaves them.
- Of parameters that are spread over ranks, this rank's share: see `trimtab.capture.shards`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.capture.bundle import Bundle
from trimtab.capture.gradient_pass import Value
from trimtab.capture.gradient_watch import GradientWatch
from trimtab.capture.one_or_many import as_list
from trimtab.capture.shards import shares_of
from trimtab.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor

LOG = logging.getLogger("trimtab")

OnError = Callable[[str, Exception], None]

_FAULTS = (RuntimeError, TypeError, ValueError, AttributeError, LookupError)
"""Whatever torch cannot do."""


class NullCapture:
    """Stands in where no optimizer is given."""

    def __init__(self) -> None:
        self.bundles: list[Bundle] = []

    def take_grad_norm(self) -> Value | None:
        """Return None."""
        return None

    def lr(self) -> Value | None:
        """Return None."""
        return None

    def loss_scale(self) -> Tensor | None:
        """Return None."""
        return None

    def stand_down(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class OptimizerCapture:
    """Reads one optimizer, or a list of them: the squares of their norms are added.

    A wrapper with the real optimizer in `.optimizer` (Accelerate's) is seen through. An optimizer that takes
    no hooks gives its learning rate only. An error in a hook goes to `on_error(where, error)`, never into the
    optimizer's step; then nothing is measured of gradients any more. `bundles` holds what the next row
    carries beside the norm. `model`, one or a list, gives the layers their names; `signals` says whether
    they are measured, `masks` whether steps are masked whose gradients are not finite.
    """

    def __init__(
        self,
        optimizer: Any,
        scaler: Any = None,
        on_error: OnError | None = None,
        model: Any = None,
        signals: Signals | None = None,
        masks: bool = False,
    ) -> None:
        self.bundles: list[Bundle] = []
        self._optimizers = [unwrapped(item) for item in as_list(optimizer)]
        self._scaler = scaler
        self._on_error = on_error or _log_error
        self._rate: Value | None = None
        self._rate_is_readable = True
        self._gradient_hooks: list[Any] = []
        self._rate_hooks: list[Any] = []
        hooked = [item for item in self._optimizers if _takes_hooks(item)]
        shares = shares_of(model, hooked, optimizer)
        self._gradients = GradientWatch(
            as_list(model), hooked, signals or Signals(), masks, shares, self.bundles
        )
        for index, item in enumerate(hooked):
            self._hook(index, item)
        if hooked and hooked[0] is self._optimizers[0]:
            self._rate_hooks.append(hooked[0].register_step_pre_hook(self._note_rate))

    def take_grad_norm(self) -> Value | None:
        """Return the global norm of the gradients of the last step, on its device, and forget it.

        None: no optimizer has stepped since the last call, none had a gradient, or this rank has a share.
        """
        return self._gradients.take_norm()

    def lr(self) -> Value | None:
        """Return the rate that the first parameter group's last step was taken with.

        It is read as that step begins: by the time the loop calls `watch.step`, a scheduler has often set the
        next one. A tensor only where the rate lives on a device.
        """
        if self._rate is not None or not self._optimizers:
            return self._rate
        return self._read_rate(self._optimizers[0])

    def loss_scale(self) -> Tensor | None:
        """Return the scale of the GradScaler, on its device; None without one or before its first step."""
        if self._scaler is None or not self._scaler.is_enabled():
            return None
        scale = getattr(self._scaler, "_scale", None)  # get_scale() would wait for the device
        return scale.detach() if scale is not None else None

    def stand_down(self) -> None:
        """Take no norm of the whole gradient any more: the loop gives its own."""
        self._gradients.forgo_norm()
        if self._gradients.idle:
            self._unhook()

    def close(self) -> None:
        """Take all hooks out of the optimizers."""
        self._gradients.close()
        self._unhook()
        for hook in self._rate_hooks:
            hook.remove()
        self._rate_hooks.clear()

    def _unhook(self) -> None:
        for hook in self._gradient_hooks:
            hook.remove()
        self._gradient_hooks.clear()

    def _hook(self, index: int, optimizer: Any) -> None:
        def look() -> None:
            self._guarded(self._gradients.begin, index)

        def before(_optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if not _has_closure(args, kwargs):
                look()
            elif self._gradients.masks(index):
                return _with_closures_that(look, args, kwargs)
            return None

        def after(_optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            late = _has_closure(args, kwargs) and not self._gradients.masks(index)
            self._guarded(self._gradients.look_after if late else self._gradients.end, index)

        self._gradient_hooks += [
            optimizer.register_step_pre_hook(before),
            optimizer.register_step_post_hook(after),
        ]

    def _guarded(self, do: Callable[[int], None], index: int) -> None:
        try:
            do(index)
        except _FAULTS as error:
            self._gradients.close()  # the hooks stay, idle: torch is going through them
            self._on_error("gradients", error)

    def _note_rate(self, optimizer: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        self._rate = self._read_rate(optimizer)

    def _read_rate(self, optimizer: Any) -> Value | None:
        if self._rate_is_readable:
            try:
                return _rate_of(optimizer)
            except _FAULTS as error:
                self._rate_is_readable = False
                self._on_error("learning rate", error)
        return None


def unwrapped(optimizer: Any) -> Any:
    """Return the real optimizer behind a wrapper that has it in `.optimizer`."""
    while not hasattr(optimizer, "_optimizer_step_pre_hooks") and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def _takes_hooks(optimizer: Any) -> bool:
    if hasattr(optimizer, "register_step_pre_hook"):
        return True
    LOG.warning("trimtab: %s takes no hooks: pass grad_norm= to watch.step", type(optimizer).__name__)
    return False


def _rate_of(optimizer: Any) -> Value | None:
    groups = getattr(optimizer, "param_groups", None)
    rate = groups[0].get("lr") if groups else None
    device = getattr(rate, "device", None)
    if rate is None or getattr(device, "type", "cpu") == "cpu":
        return None if rate is None else float(rate)
    on_device: Tensor = rate.detach().clone()  # a scheduler overwrites it in place
    return on_device


def _has_closure(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Tell whether `step` was given a closure; `args` starts with the optimizer itself."""
    return any(callable(value) for value in (*args[1:], *kwargs.values()))


def _with_closures_that(look: Callable[[], None], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return the arguments of a `step` whose closure looks at the gradients once it has made them.

    The fused optimizers call theirs once, before they do anything else: so is every step of Lightning's.
    """

    def looking(closure: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            made = closure(*given, **named)
            look()
            return made

        return call if callable(closure) else closure

    optimizer, *others = args
    return (optimizer, *map(looking, others)), {name: looking(each) for name, each in kwargs.items()}


def _log_error(where: str, error: Exception) -> None:
    LOG.warning("trimtab: %s: %s: %s", where, type(error).__name__, error)
