"""Gathers what is seen of the batches that one optimizer step is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.capture.gradient_pass import GradientPass, Value, joined


class BatchesOfStep:
    """Loss, gradient norm and tokens of the batches since the last step; nothing is read from a device."""

    def __init__(self) -> None:
        self._losses: list[Any] = []
        self._passes: dict[int, GradientPass] = {}
        self._norms: dict[int, Value | None] = {}
        self._unclipped: dict[int, Value | None] = {}
        self._tokens: Any = None

    def see_outputs(self, outputs: Any, share: int) -> None:
        """Take the loss of a batch, which is the returned one divided by `share`, if there is any."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if loss is not None:
            self._losses.append(loss if share == 1 else _wide(loss) * share)

    def see_tokens(self, tokens: Any) -> None:
        """Take the number of tokens of a batch."""
        self._tokens = tokens if self._tokens is None else self._tokens + tokens

    def see_gradients(self, optimizer: Any, clips: bool = False) -> None:
        """Take the norm of an optimizer's gradients; `clips`: they are clipped before its step."""
        import torch

        key = id(optimizer)
        if not clips and key in self._unclipped:
            self._norms[key] = self._unclipped.pop(key)
            return
        with torch.no_grad():
            norm = self._passes.setdefault(key, GradientPass(optimizer)).norm()
        (self._unclipped if clips else self._norms)[key] = norm

    def take(self) -> dict[str, Any]:
        """Return the arguments of `Watch.step`, and begin with the next step."""
        norms = [norm for norm in self._norms.values() if norm is not None]
        values = {"loss": _mean(self._losses), "grad_norm": joined(norms)}
        if self._tokens is not None:
            values["tokens"] = self._tokens
        self._losses, self._norms, self._tokens = [], {}, None
        return values


def _mean(losses: list[Any]) -> Any:
    if len(losses) < 2:
        return losses[0] if losses else None
    return sum(map(_wide, losses[1:]), _wide(losses[0])) / len(losses)


def _wide(loss: Any) -> Any:
    """Return a loss in at least single precision: sums of 16-bit numbers have two digits."""
    return loss.float() if getattr(loss, "dtype", None) is not None and loss.dtype.itemsize < 4 else loss
