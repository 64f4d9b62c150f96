"""What is measured of the gradients of all optimizers of a run, as each begins its step."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from trimtab.capture.bundle import Bundle
from trimtab.capture.gradient_pass import GradientPass, Value, joined
from trimtab.capture.layer_norms import LayerNorms
from trimtab.capture.masking import Mask, why_not
from trimtab.capture.recording import is_recorded
from trimtab.capture.shards import Shares
from trimtab.capture.slot import Slot
from trimtab.signals import Signals
from trimtab.vocabulary import GRAD_NORM_SQ_SHARD, NOT_MEASURED, STEP_MASKED

if TYPE_CHECKING:
    from torch import Tensor

LOG = logging.getLogger("trimtab")

RECORDED: Final = (
    "no gradients are measured of a step that is compiled or captured in a CUDA graph: "
    "pass the loop's own norm as grad_norm=, or leave optimizer.step() out of it"
)
SHARED: Final = "each rank sees only its share, and would decide by itself: clip or check in the loop"


class GradientWatch:
    """Measures norms, of the whole and of layers, and masks steps whose gradients are not finite.

    The norm is handed out by `take_norm`; all else goes to `bundles`, for the next row, as does this rank's
    share of the norm where `shares` says that there is one. What a second step between two rows measures
    takes the place of the first's.
    """

    def __init__(
        self,
        models: Sequence[Any],
        optimizers: Sequence[Any],
        signals: Signals,
        masks: bool,
        shares: Shares | None,
        bundles: list[Bundle],
    ) -> None:
        self._wants_norm = True
        self._recorded = self._told = False
        self._in_shares = shares is not None
        self._passes = [GradientPass(optimizer, shares) for optimizer in optimizers]
        self._norms: dict[int, Value] = {}
        self._shared: Slot[Value] = Slot(bundles)
        self._layered: Slot[Tensor] = Slot(bundles)
        self._masked: Slot[Value] = Slot(bundles)
        self._layers: LayerNorms | None = None
        if signals.layer_norms_every:
            every, most = signals.layer_norms_every, signals.layers
            self._layers = LayerNorms(models, optimizers, every, most, self._in_shares, self._layered)
        self._masks = _masks(optimizers, self._in_shares) if masks else {}

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to do."""
        return not (self._wants_norm or self._layers or self._masks)

    def take_norm(self) -> Value | None:
        """Return the norm of the gradients of the last steps, and forget it; None: there is no new one."""
        norms, self._norms = list(self._norms.values()), {}
        if self._recorded and not self._told:
            self._told = True
            LOG.warning("trimtab: %s", RECORDED)
        return joined(norms)

    def forgo_norm(self) -> None:
        """Measure no norm of the whole any more; layers and masks go on."""
        self._wants_norm = False
        self._norms.clear()
        self._shared.clear()

    def masks(self, index: int) -> bool:
        """Tell whether an optimizer's steps are masked."""
        return index in self._masks

    def begin(self, index: int) -> None:
        """An optimizer is about to step with the gradients that there are."""
        mask = self._masks.get(index)
        if mask is not None:
            mask.release()  # a step that raised has left its flag
        norm = self._measured(index)
        if norm is not None and mask is not None:
            self._note_mask(index, mask.arm(norm))

    def end(self, index: int) -> None:
        """It has stepped."""
        if index in self._masks:
            self._masks[index].release()

    def look_after(self, index: int) -> None:
        """It has stepped, with gradients that a closure made meanwhile."""
        self._measured(index)

    def close(self) -> None:
        """Measure nothing any more, and leave the optimizers as they were."""
        for mask in self._masks.values():
            mask.release()
        self._layered.clear()
        self._masked.clear()
        self._layers, self._masks = None, {}
        self.forgo_norm()

    def _measured(self, index: int) -> Value | None:
        """Measure what is wanted of this step; return the norm if it was among that."""
        import torch

        if _is_left_out(self._passes[index].optimizer):
            return (
                math.inf
            )  # as the scaler found: it goes to no row, as of other optimizers, which do not step
        due = self._layers is not None and self._layers.is_due(index)
        if not (due or self._wants_norm or index in self._masks):
            return None
        if is_recorded():
            self._recorded = True  # told later: a compiler takes this down as it stands, and logs nothing
            return None
        with torch.no_grad():
            norm = self._norm_by_layers(index) if due else self._passes[index].norm()
            if self._wants_norm and self._in_shares:
                self._put_share(index, norm)
            elif self._wants_norm and norm is not None:
                self._norms[index] = unless_left_out(norm, self._passes[index].optimizer)
        return norm

    def _norm_by_layers(self, index: int) -> Value | None:
        square = self._layers.measure(index, self._passes[index]) if self._layers else None
        if square is None:
            return None
        return math.sqrt(float(square)) if square.is_cpu else square.sqrt()

    def _put_share(self, index: int, norm: Value | None) -> None:
        """Send the square of what this rank holds; 0 where it holds nothing: the others wait for it."""
        norm = joined(list(self._shared.gather(index, 0.0 if norm is None else norm).values()))
        if norm is not None:
            self._shared.put((GRAD_NORM_SQ_SHARD,), _as_tensor(norm * norm))

    def _note_mask(self, index: int, masked: Value | None) -> None:
        """Say that a step was masked, or not; of several optimizers, whether one was."""
        import torch

        if masked is None:
            return
        first, *others = map(_as_tensor, self._masked.gather(index, masked).values())
        for other in others:
            first = torch.maximum(first, other.to(first, non_blocking=True))
        self._masked.put((STEP_MASKED,), first)


def _masks(optimizers: Sequence[Any], in_shares: bool) -> dict[int, Mask]:
    """Return what masks each optimizer's steps, as far as they can be; say once of which they cannot."""
    masks: dict[int, Mask] = {}
    for index, optimizer in enumerate(optimizers):
        reason = SHARED if in_shares else why_not(optimizer)
        if reason is None:
            masks[index] = Mask(optimizer)
        else:
            name = type(optimizer).__name__
            LOG.warning("trimtab: %s: gradients that are not finite are not masked: %s", name, reason)
    return masks


def _as_tensor(value: Value) -> Tensor:
    """Return a value as a tensor of shape (1,)."""
    import torch

    if isinstance(value, float):
        return torch.tensor([value], dtype=torch.float64, device="cpu")
    return value.reshape(1)


def _is_left_out(optimizer: Any) -> bool:
    """Tell whether a GradScaler has told a fused optimizer to leave this step out, where the host knows."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and found.is_cpu and bool(found)


def unless_left_out(norm: Value, optimizer: Any) -> Value:
    """Return a norm, on a device "not measured" where a GradScaler lets the optimizer leave the step out."""
    import torch

    found = getattr(optimizer, "found_inf", None)
    if found is None or isinstance(norm, float):
        return norm
    left_out = found.reshape(()).to(norm.device, non_blocking=True) > 0
    return torch.where(left_out, NOT_MEASURED, norm.double())
