"""Keeps gradients that are not finite away from the weights, on the device, without a wait.

The fused optimizers of torch leave weights, moments and step count as they are where their attribute
`found_inf` holds 1: it is what a GradScaler tells them by. Here it is set from the norm of the gradients as
the step begins, and taken away when it has ended.
"""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any, Final

from trimtab.capture.gradient_pass import Value

if TYPE_CHECKING:
    from torch import Tensor

_ABSENT: Final = object()


class Mask:
    """Masks steps of one optimizer. What the GradScaler has put there counts too, and is put back."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._ours: Tensor | None = None
        self._theirs: Any = _ABSENT

    def arm(self, norm: Value) -> Value | None:
        """Mask the step that begins now if the norm is not finite; return 1.0 if it is masked, else 0.0.

        None: this step cannot be masked, as a group that is not fused has come to the optimizer.
        """
        if not _all_fused(self._optimizer):
            return None
        theirs: Any = getattr(self._optimizer, "found_inf", _ABSENT)
        if isinstance(norm, float):
            return self._arm_on_host(norm, theirs)
        _give_buffers(self._optimizer)
        bad = ~norm.isfinite()
        if theirs is not _ABSENT:
            bad = bad | (theirs.to(norm.device, non_blocking=True) > 0)
        flag = bad.float()
        self._put(flag, theirs)
        return flag

    def release(self) -> None:
        """Put back what was there before the step."""
        ours, self._ours = self._ours, None
        if ours is None or getattr(self._optimizer, "found_inf", None) is not ours:
            return
        if self._theirs is _ABSENT:
            del self._optimizer.found_inf
        else:
            self._optimizer.found_inf = self._theirs
        self._theirs = _ABSENT

    def _arm_on_host(self, norm: float, theirs: Any) -> float:
        import torch

        if math.isfinite(norm):
            return float(theirs is not _ABSENT and theirs.device.type == "cpu" and bool(theirs))
        _give_buffers(self._optimizer)
        # torch's kernels take float32 only, and a loop may have set another dtype or device as the default
        self._put(torch.ones((), dtype=torch.float32, device="cpu"), theirs)
        return 1.0

    def _put(self, flag: Tensor, theirs: Any) -> None:
        self._ours, self._theirs = flag, theirs
        self._optimizer.found_inf = flag


def why_not(optimizer: Any) -> str | None:
    """Say why no step of an optimizer can be masked, with the remedy; None: they can."""
    if not getattr(optimizer, "_step_supports_amp_scaling", False) or not _all_fused(optimizer):
        return "it is not fused: give it fused=True (Adam, AdamW, SGD and Adagrad of torch.optim)"
    if "grad_scaler" in inspect.signature(optimizer.step).parameters:
        return "its step asks a GradScaler itself: clip or check the gradients in the loop"
    if any(group.get("momentum") and group.get("dampening") for group in optimizer.param_groups):
        return "its momentum is dampened, and its first step could not be undone: give dampening=0"
    return None


def _all_fused(optimizer: Any) -> bool:
    """Tell whether all groups go the fused way: any other refuses `found_inf`, with an error."""
    return all(group.get("fused", True) for group in optimizer.param_groups)


def _give_buffers(optimizer: Any) -> None:
    """Give SGD its momentum, zero, before its first step: a masked one would leave it as it was allocated.

    The first step is the same with it: torch's fused SGD then adds the gradient to nothing.
    """
    import torch

    if not isinstance(optimizer, torch.optim.SGD):
        return
    for group in optimizer.param_groups:
        having = [each for each in group["params"] if each.grad is not None] if group["momentum"] else []
        if having and optimizer.state[having[0]].get("momentum_buffer") is None:
            for each in having:
                optimizer.state[each]["momentum_buffer"] = torch.zeros_like(each.grad)
