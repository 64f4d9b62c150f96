"""Listens to the outputs of some modules, in the steps that are to be measured and in no others.

The hooks are in the modules only during such a step. Of its forward passes the first in training mode
counts: neither an evaluation (`model.eval()`, `torch.inference_mode()`), nor what checkpointing computes a
second time in the backward pass, nor a later micro-batch. A hook that fails takes all of them out, and the
error is raised by `settle`, outside the model's forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch.nn import Module

from trimtab.capture.instrument import FAULTS, in_the_open
from trimtab.capture.staying_hook import StayingHook

MOST_UNSEEN: Final = 3

Measure = Callable[[str, Any, Any], None]
"""Takes a module by name, and its output; called under `torch.no_grad()` and without autocast."""


def counts(module: Module) -> bool:
    """Tell whether a forward pass that runs now is one of training, and not one computed again."""
    return (
        in_the_open()
        and module.training
        and not torch.is_inference_mode_enabled()
        and torch._C._current_graph_task_id() < 0  # in the backward pass: a checkpoint computes it again
    )


@contextmanager
def unrecorded() -> Iterator[None]:
    """Compute without a gradient, and in the types that are given, whatever the loop has set."""
    with torch.no_grad(), ExitStack() as stack:
        for device in ("cpu", "cuda", "xpu", "mps"):
            if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


class Sighted:
    """Ends a signal whose first measured steps saw no forward pass of the parts that it looks at.

    In a compiled model no hook runs, and each time that hooks are put in it may be compiled again: after a
    few times torch would compile it no more.
    """

    def __init__(self, part: str) -> None:
        self._part = part
        self._unseen = 0.0

    def note(self, seen: bool) -> None:
        """Take whether a measured step saw any; one between two optimizers may not.

        Raises:
            LookupError: so many have not, and none has.
        """
        self._unseen = -math.inf if seen else self._unseen + 1
        if self._unseen == MOST_UNSEEN:
            raise LookupError(
                f"no forward pass of a {self._part} was seen in {MOST_UNSEEN} measured steps: is the model "
                "compiled?"
            )


class ForwardTap:
    """Calls `measure(name, module, output)` once a step for each module whose forward pass is seen."""

    def __init__(self, modules: Sequence[tuple[str, Module]], measure: Measure) -> None:
        self._modules = modules
        self._measure = measure
        self._hooks: list[Any] = []
        self._seen: set[str] = set()
        self._error: Exception | None = None

    def arm(self) -> None:
        """Put the hooks in."""
        self.close()
        self._seen.clear()
        for name, module in self._modules:
            self._hooks.append(module.register_forward_hook(StayingHook(self._hook(name))))

    def settle(self) -> bool:
        """Take the hooks out; tell whether they saw anything.

        Raises:
            Exception: a hook failed, this is its error.
        """
        self.close()
        if self._error is not None:
            raise self._error
        return bool(self._seen)

    def close(self) -> None:
        """Take the hooks out."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _hook(self, name: str) -> Callable[..., None]:
        def see(module: Module, _args: Any, output: Any) -> None:
            if counts(module) and name not in self._seen:
                self._seen.add(name)
                self._look(name, module, output)

        return see

    def _look(self, name: str, module: Module, output: Any) -> None:
        try:
            with unrecorded():
                self._measure(name, module, output)
        except FAULTS as error:
            self._error = error
            self.close()
