"""Puts the values of one step together: what the loop gives, what is captured, what is known."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from trimtab.capture.scalars import NotANumberError, as_float, is_on_device
from trimtab.guard import Tally
from trimtab.outbound.records import STANDARD_NAMES
from trimtab.vocabulary import GRAD_NORM, LOSS, LOSS_SCALE, LR, NOT_MEASURED, STEP_SECONDS, TOKENS

LOG = logging.getLogger("trimtab")

_STANDARD = frozenset(STANDARD_NAMES)


class Capture(Protocol):
    """Reads from the optimizer what the loop does not hand over."""

    def take_grad_norm(self) -> Any:
        """Return the norm of the last step's gradients, None if there is none."""

    def lr(self) -> Any:
        """Return the learning rate, None if it is not known."""

    def loss_scale(self) -> Any:
        """Return the scale of the loss in mixed precision, None without one."""

    def stand_down(self) -> None:
        """Stop to take gradient norms: the loop gives its own."""

    def close(self) -> None:
        """Let the optimizer go."""


class StepValues:
    """Reads the values that the host has; what cannot become a number is dropped, counted and told once."""

    def __init__(self, capture: Capture, tokens_per_step: float, drops: Tally) -> None:
        self.tokens = tokens_per_step
        self._capture = capture
        self._drops = drops
        self._capture_norm = True
        self.standard_only = False
        """Whether nothing is captured beyond what the loop gave last."""

    def given(
        self, loss: Any, lr: Any, grad_norm: Any, seconds: float, metrics: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the step's values by name; None where nothing is known."""
        values = {
            LOSS: loss,
            GRAD_NORM: self._grad_norm(grad_norm),
            LR: self._capture.lr() if lr is None else lr,
            STEP_SECONDS: seconds,
            TOKENS: self.tokens,
        }
        scale = self._capture.loss_scale()
        self.standard_only = scale is None and not self._capture_norm
        if scale is not None:
            values[LOSS_SCALE] = scale
        values.update(metrics)
        return values

    def read(self, values: dict[str, Any]) -> bool:
        """Turn what the host has into floats, in place; True: some values are still on a device.

        A standard metric without a value is left out, any other stays as "not measured": a set of names that
        changes with what happens to be measured would be many sets.
        """
        waits = False
        for name, value in list(values.items()):
            if type(value) is float:
                continue
            if is_on_device(value):
                waits = True
                continue
            number = NOT_MEASURED if value is None else self._number(name, value)
            if number is NOT_MEASURED and name in _STANDARD:
                del values[name]
            else:
                values[name] = number
        return waits

    def _grad_norm(self, given: Any) -> Any:
        if given is None:
            return self._capture.take_grad_norm()
        if self._capture_norm:
            self._capture_norm = False
            self._capture.stand_down()
        return given

    def _number(self, name: str, value: Any) -> float:
        try:
            return as_float(value)
        except NotANumberError as error:
            if self._drops.count("not a number", _as_text(name)):
                LOG.warning("trimtab: %s: %s; the value is dropped and counted", name, error)
            return NOT_MEASURED


def _as_text(name: object) -> str:
    """Return a name that a loop gave, whatever it is, as a short text that has UTF-8."""
    return str(name)[:100].encode("utf-8", "backslashreplace").decode()
