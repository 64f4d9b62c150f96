"""Puts the values of one step together: what the loop gives, what is captured, what is known."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from trimtab.capture.bundle import Bundle
from trimtab.capture.scalars import NotANumberError, as_float, is_on_device
from trimtab.guard import Tally
from trimtab.outbound.records import STANDARD_NAMES
from trimtab.vocabulary import GRAD_NORM, LOSS, LOSS_SCALE, LR, NOT_MEASURED, STEP_SECONDS, TOKENS

if TYPE_CHECKING:
    from torch import Tensor

LOG = logging.getLogger("trimtab")

_STANDARD = frozenset(STANDARD_NAMES)


class Capture(Protocol):
    """Reads from the optimizer what the loop does not hand over.

    `bundles` is what was measured beside, for the next row; whoever takes it clears the list.
    """

    bundles: list[Bundle]

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
        self.bundles = capture.bundles
        self.standard_only = False
        """Whether nothing is captured beyond what the loop gave last."""

    def standard(self, given: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Take the standard metrics out of what the loop gives, and fill in what is captured or known."""
        take = given.pop
        rate = take(LR, None)
        scale = self._capture.loss_scale()
        if scale is not None:
            given.setdefault(LOSS_SCALE, scale)
        standard = {
            LOSS: take(LOSS, None),
            GRAD_NORM: self._grad_norm(take(GRAD_NORM, None)),
            LR: self._capture.lr() if rate is None else rate,
            STEP_SECONDS: take(STEP_SECONDS, seconds),
            TOKENS: take(TOKENS, self.tokens),
        }
        self.standard_only = scale is None and not self._capture_norm
        return standard

    def take_bundles(self, values: dict[str, Any]) -> list[Bundle]:
        """Put the bundles of the host into `values`; return those of a device."""
        if not self.bundles:
            return []
        taken = self.bundles.copy()
        self.bundles.clear()
        on_host = [bundle for bundle in taken if bundle.tensor.is_cpu]
        for bundle in on_host:
            values.update(zip(bundle.names, bundle.tensor.tolist(), strict=True))
        return [bundle for bundle in taken if not bundle.tensor.is_cpu]

    def read(self, values: dict[str, Any]) -> dict[str, Tensor]:
        """Turn what the host has into floats, in place; return the tensors that are on a device.

        A standard metric without a value is left out, any other stays as "not measured": a set of names that
        changes with what happens to be measured would be many sets. What is on a device keeps its place too.
        """
        on_device: dict[str, Tensor] = {}
        for name, value in list(values.items()):
            if type(value) is float:
                continue
            if is_on_device(value):
                on_device[name] = value
                values[name] = NOT_MEASURED
                continue
            number = NOT_MEASURED if value is None else self._number(name, value)
            if number is NOT_MEASURED and name in _STANDARD:
                del values[name]
            else:
                values[name] = number
        return on_device

    def _grad_norm(self, given: Any) -> Any:
        if given is not None and hasattr(given, "full_tensor"):
            self._number(GRAD_NORM, given)  # says what to give: what is measured here is better than nothing
            given = None
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
            if self._drops.count("not a number", as_text(name)):
                LOG.warning("trimtab: %s: %s; the value is dropped and counted", name, error)
            return NOT_MEASURED


def are_numbers(values: Iterable[Any]) -> bool:
    """Tell whether all values are numbers of Python's own kinds: such rows need no looking at each value."""
    return all(issubclass(kind, (float, int)) for kind in set(map(type, values)))


def as_text(name: object) -> str:
    """Return a name that a loop gave, whatever it is, as a short text that has UTF-8."""
    return str(name)[:100].encode("utf-8", "backslashreplace").decode()
