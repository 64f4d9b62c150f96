"""The largest attention logit of a block: of what its attention really multiplies, as it happens.

torch gives no logits out of its fused attention. So while a block of a measured step runs, a
`TorchFunctionMode` sees the calls of `scaled_dot_product_attention` in it, and multiplies a sample of the
queries (those of the batch's first item, evenly spread, the last among them) with all keys, scaled and masked
alike: a maximum over the sample, so never above the true one. Where attention is written out, the mode sees
the softmax of a tensor (batch, heads, queries, keys), whose largest element is the true maximum. Kernels that
torch does not know (the flash-attn package, flex attention) give nothing: hand such a value over by
`watch.step(max_attention_logit=...)`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import Module
from torch.overrides import TorchFunctionMode, _get_current_function_mode

from trimtab.capture.forward_tap import counts, unrecorded
from trimtab.capture.instrument import FAULTS
from trimtab.capture.staying_hook import StayingHook

MOST_LOGITS: Final = 2**21
"""How many logits of a call are computed at most, or one query's."""

_SOFTMAX: Final = (torch.softmax, torch.Tensor.softmax, torch.nn.functional.softmax)
_FUSED: Final = torch.nn.functional.scaled_dot_product_attention

Note = Callable[[Tensor], None]


class LogitMode(TorchFunctionMode):
    """Hands the largest logit of each attention call to `note`, and changes nothing."""

    def __init__(self, note: Note, fail: Callable[[Exception], None]) -> None:
        super().__init__()
        self._note = note
        self._fail = fail

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function; look at what went into it if it is a part of attention."""
        del types
        kwargs = kwargs or {}
        if func is _FUSED or func in _SOFTMAX:
            self._look(func, args, kwargs)
        return func(*args, **kwargs)

    def _look(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            with unrecorded():
                largest = fused_logit(*args, **kwargs) if func is _FUSED else softmax_logit(*args, **kwargs)
            if largest is not None:
                self._note(largest)
        except FAULTS as error:
            self._fail(error)


class AttentionTap:
    """Finds the largest attention logit of each block, in the first forward pass of an armed step."""

    def __init__(self, blocks: Sequence[tuple[str, Module]]) -> None:
        self._blocks = blocks
        self._hooks: list[Any] = []
        self._modes: dict[tuple[str, int], LogitMode] = {}
        self._seen: set[str] = set()
        self._logits: dict[str, Tensor] = {}
        self._error: Exception | None = None

    def arm(self) -> None:
        """Put the hooks in."""
        self.close()
        self._seen.clear()
        self._logits.clear()
        for name, block in self._blocks:
            self._hooks += [
                block.register_forward_pre_hook(StayingHook(self._entering(name))),
                block.register_forward_hook(StayingHook(self._leaving(name)), always_call=True),
            ]

    def settle(self) -> dict[str, Tensor]:
        """Take the hooks out; return the logits by name, the largest of all as `max_attention_logit`.

        Raises:
            Exception: a hook failed, this is its error.
        """
        self.close()
        if self._error is not None:
            raise self._error
        logits, self._logits = self._logits, {}
        if not logits:
            return {}
        device = next(iter(logits.values())).device
        every = torch.stack([logit.to(device, non_blocking=True) for logit in logits.values()])
        by_name = {f"max_attention_logit/{name}": logit for name, logit in logits.items()}
        return {"max_attention_logit": every.amax(), **by_name}

    def close(self) -> None:
        """Take the hooks out, and a mode that an interrupted forward pass has left behind."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        for name, _ in self._blocks:
            self._leave(name)

    def _entering(self, name: str) -> Callable[..., None]:
        def enter(block: Module, _args: Any) -> None:
            if counts(block) and name not in self._seen:
                self._seen.add(name)
                mode = LogitMode(lambda logit: self._take(name, logit), self._fail)
                mode.__enter__()  # type: ignore[no-untyped-call]
                self._modes[name, threading.get_ident()] = mode

        return enter

    def _leaving(self, name: str) -> Callable[..., None]:
        def leave(_block: Module, _args: Any, _output: Any) -> None:
            if not torch.compiler.is_compiling():  # else this would be compiled too, and break the graph
                self._leave(name)

        return leave

    def _leave(self, name: str) -> None:
        mode = self._modes.get((name, threading.get_ident()))
        if mode is not None and _get_current_function_mode() is mode:  # type: ignore[no-untyped-call]
            del self._modes[name, threading.get_ident()]
            mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def _take(self, name: str, logit: Tensor) -> None:
        known = self._logits.get(name)
        self._logits[name] = logit if known is None else torch.maximum(known, logit)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error


def softmax_logit(input: Tensor, dim: int | None = None, *_: Any, **__: Any) -> Tensor | None:  # noqa: A002
    """Return the largest of (batch, heads, queries, keys); None for a softmax that is not attention's."""
    if input.ndim != 4 or dim not in (-1, 3) or not input.numel() or hasattr(input, "to_local"):
        return None
    return input.detach().amax().float()


def fused_logit(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """Return the largest logit of a sample of the queries, as `scaled_dot_product_attention` has them.

    Shapes are (..., heads, queries, width) and (..., heads, keys, width), fewer heads of keys than of queries
    where they are shared. None: no such tensors (nested, or a shard of several ranks).
    """
    del value, dropout_p, enable_gqa
    if query.is_nested or hasattr(query, "to_local") or not query.numel() or not key.numel():
        return None
    queries, keys = _of_first_item(query.detach()), _of_first_item(key.detach())
    heads, length, width = queries.shape
    stride = -(-length // max(1, MOST_LOGITS // (heads * keys.shape[1])))
    rows = slice((length - 1) % stride, None, stride)
    chosen = queries[:, rows] * (1.0 / math.sqrt(width) if scale is None else scale)
    shared = chosen.reshape(keys.shape[0], -1, width)
    logits = (shared @ keys.transpose(1, 2)).reshape(heads, -1, keys.shape[1])
    if is_causal:
        at = torch.arange(length, device=logits.device)[rows]
        later = torch.arange(keys.shape[1], device=logits.device) > at[:, None]
        logits = logits.masked_fill(later, -math.inf)
    if attn_mask is not None:
        logits = _masked(logits, attn_mask.detach(), rows)
    return logits.amax().float()


def _of_first_item(tensor: Tensor) -> Tensor:
    """Return the last three dimensions, of the first item of those before."""
    while tensor.ndim > 3:
        tensor = tensor[0]
    return tensor if tensor.ndim == 3 else tensor[None]


def _masked(logits: Tensor, mask: Tensor, rows: slice) -> Tensor:
    while mask.ndim > 3:
        mask = mask[0]
    if mask.ndim > 1 and mask.shape[-2] > 1:
        mask = mask[..., rows, :]
    return logits.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else logits + mask
