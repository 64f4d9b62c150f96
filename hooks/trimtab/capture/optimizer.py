"""Reads the gradient norm and the learning rate from the optimizer, so that the loop need not hand them over.

The norm is taken by a hook that runs as the optimizer's `step` begins: one fused pass over the gradients
and one norm over the result, on their device, nothing read back. What it sees:

- Gradients as the optimizer gets them, so after the loop's own clipping. The value that `clip_grad_norm_`
returns is
  the better one: pass it as `watch.step(grad_norm=...)`, and this hook is removed.
- Gradients without the factor of a GradScaler: `scaler.step` unscales them first, or, for fused optimizers,
hands its
  scale to the optimizer, and the norm is divided by it. A step that the scaler skips has no norm;
  `loss_scale` drops.
- Gradients of a closure (LBFGS), as they are after the step: before it there are none.
- Not those of sharded parameters (FSDP, DTensor): the norm of one shard is not that of the gradient.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.capture.bundle import Bundle
from trimtab.capture.one_or_many import as_list

if TYPE_CHECKING:
    from torch import Tensor

LOG = logging.getLogger("trimtab")

OnError = Callable[[str, Exception], None]


class NullCapture:
    """Stands in where no optimizer is given."""

    def __init__(self) -> None:
        self.bundles: list[Bundle] = []

    def take_grad_norm(self) -> Tensor | None:
        """Return None."""
        return None

    def lr(self) -> float | Tensor | None:
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
    optimizer's step.
    """

    def __init__(self, optimizer: Any, scaler: Any = None, on_error: OnError | None = None) -> None:
        self.bundles: list[Bundle] = []
        self._optimizers = [unwrapped(item) for item in as_list(optimizer)]
        self._scaler = scaler
        self._on_error = on_error or _log_error
        self._rate: float | Tensor | None = None
        self._norms: dict[int, Tensor] = {}
        self._norm_hooks: list[Any] = []
        self._rate_hooks: list[Any] = []
        for index, item in enumerate(self._optimizers):
            self._hook(index, item)

    def take_grad_norm(self) -> Tensor | None:
        """Return the global norm of the gradients of the last step, on its device, and forget it.

        None: no optimizer has stepped since the last call, or none had a gradient.
        """
        norms, self._norms = list(self._norms.values()), {}
        return _joined(norms)

    def lr(self) -> float | Tensor | None:
        """Return the rate that the first parameter group's last step was taken with.

        It is read as that step begins: by the time the loop calls `watch.step`, a scheduler has often set the
        next one. A tensor only where the rate lives on a device.
        """
        if self._rate is not None or not self._optimizers:
            return self._rate
        return _rate_of(self._optimizers[0])

    def loss_scale(self) -> Tensor | None:
        """Return the scale of the GradScaler, on its device; None without one or before its first step."""
        if self._scaler is None or not self._scaler.is_enabled():
            return None
        scale = getattr(self._scaler, "_scale", None)  # get_scale() would wait for the device
        return scale.detach() if scale is not None else None

    def stand_down(self) -> None:
        """Take no gradient norm any more: the loop gives its own."""
        for hook in self._norm_hooks:
            hook.remove()
        self._norm_hooks.clear()
        self._norms.clear()

    def close(self) -> None:
        """Take all hooks out of the optimizers."""
        self.stand_down()
        for hook in self._rate_hooks:
            hook.remove()
        self._rate_hooks.clear()

    def _hook(self, index: int, optimizer: Any) -> None:
        name = type(optimizer).__name__
        if not hasattr(optimizer, "register_step_pre_hook"):
            LOG.warning("trimtab: %s takes no hooks: pass grad_norm= to watch.step", name)
            return
        if index == 0:
            self._rate_hooks.append(optimizer.register_step_pre_hook(self._note_rate))
        if any(is_sharded(parameter) for group in optimizer.param_groups for parameter in group["params"]):
            LOG.warning("trimtab: %s: sharded parameters: pass clip_grad_norm_'s value as grad_norm=", name)
            return

        def before(hooked: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not _has_closure(args, kwargs):
                self._note_norm(index, hooked)

        def after(hooked: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if _has_closure(args, kwargs):
                self._note_norm(index, hooked)

        self._norm_hooks += [
            optimizer.register_step_pre_hook(before),
            optimizer.register_step_post_hook(after),
        ]

    def _note_rate(self, optimizer: Any, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        self._rate = _rate_of(optimizer)

    def _note_norm(self, index: int, optimizer: Any) -> None:
        try:
            norm = gradient_norm(optimizer)
            if norm is not None:
                self._norms[index] = norm
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:  # whatever torch cannot do
            self.stand_down()
            self._on_error("gradient norm", error)


def _rate_of(optimizer: Any) -> float | Tensor | None:
    groups = getattr(optimizer, "param_groups", None)
    rate = groups[0].get("lr") if groups else None
    device = getattr(rate, "device", None)
    if rate is None or getattr(device, "type", "cpu") == "cpu":
        return None if rate is None else float(rate)
    on_device: Tensor = rate.detach().clone()  # a scheduler overwrites it in place
    return on_device


def gradient_norm(optimizer: Any) -> Tensor | None:
    """Return the 2-norm over all gradients of an optimizer, a scalar; None: there are no gradients.

    It stays on the device of the first gradient, and nothing waits for it; only a sparse gradient of a CUDA
    device does, as its repeated rows have to be counted.
    """
    import torch

    by_device: dict[torch.device, list[Tensor]] = {}
    with torch.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_device.setdefault(parameter.grad.device, []).append(_dense(parameter.grad))
        norm = _joined([_norm(gradients) for gradients in by_device.values()])
        scale = getattr(optimizer, "grad_scale", None)
        return norm if norm is None or scale is None else norm / scale.to(norm.device, non_blocking=True)


def _norm(gradients: Sequence[Tensor]) -> Tensor:
    import torch

    # At least float32: the sum of squares of a 16-bit type overflows, and its norm has two digits.
    wide = any(gradient.dtype == torch.float64 for gradient in gradients)
    norms = torch._foreach_norm(list(gradients), 2, dtype=torch.float64 if wide else torch.float32)
    return _norm_of(torch.stack(norms))


def _joined(norms: Sequence[Tensor]) -> Tensor | None:
    import torch

    if len(norms) < 2:
        return norms[0] if norms else None
    device = norms[0].device
    return _norm_of(torch.stack([norm.to(device, non_blocking=True) for norm in norms]))


def _norm_of(values: Tensor) -> Tensor:
    import torch

    norm: Tensor = torch.linalg.vector_norm(values)
    return norm


def _dense(gradient: Tensor) -> Tensor:
    import torch

    if gradient.is_sparse:
        gradient = gradient.coalesce().values()
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient


def _has_closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether `step` was given a closure; `args` starts with the optimizer itself."""
    return any(callable(value) for value in (*args[1:], *kwargs.values()))


def is_sharded(parameter: Any) -> bool:
    """Tell whether a parameter is a share of one that is spread over ranks (FSDP, DTensor)."""
    return hasattr(parameter, "full_tensor") or hasattr(parameter, "_is_flat_param")


def unwrapped(optimizer: Any) -> Any:
    """Return the real optimizer behind a wrapper that has it in `.optimizer`."""
    while not hasattr(optimizer, "_optimizer_step_pre_hooks") and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def _log_error(where: str, error: Exception) -> None:
    LOG.warning("trimtab: %s: %s: %s", where, type(error).__name__, error)
