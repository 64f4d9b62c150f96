"""Gradients by where they lie: those of one device and type that count alike are measured together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from trimtab.capture.gradients import (
    RUN_ELEMENTS,
    SMALL_ELEMENTS,
    norms_on_device,
    square_of_run,
    square_on_host,
    squares_of_run,
)
from trimtab.capture.shards import Shares, is_dtensor, local

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")


class Kind(NamedTuple):
    """What parameters that are measured together have in common."""

    device: torch.device
    dtype: torch.dtype
    weight: float
    """By how much a square counts: less than 1 where other ranks hold the same."""
    in_dtensors: bool


def by_kind(parameters: Iterable[Any], shares: Shares | None) -> dict[Kind, list[Any]]:
    """Sort parameters by what they have in common; raises PartialGradientError as `Shares` does."""
    kinds: dict[Kind, list[Any]] = {}
    for each in parameters:
        held = local(each)
        kind = Kind(held.device, held.dtype, shares.weight(each) if shares else 1.0, is_dtensor(each))
        kinds.setdefault(kind, []).append(each)
    return kinds


class HostPart:
    """Parameters in host memory; small ones of one shape are measured as one run."""

    def __init__(self, kind: Kind, parameters: Sequence[Any]) -> None:
        self._weight = kind.weight
        self._in_dtensors = kind.in_dtensors
        self._runs, self._singles = _runs(parameters)

    def square(self) -> float | None:
        """Return the sum of the squares of all gradients; None: there are none."""
        return self._or_each_by_itself(self._square)

    def squares(self) -> list[tuple[Any, float]]:
        """Return the parameters that have a gradient, each with the square of its norm."""
        return self._or_each_by_itself(self._squares)

    def _square(self) -> float | None:
        squares = [square_of_run(gradients) for run in self._runs if (gradients := self._gradients(run))]
        squares += [square_on_host(gradient) for gradient in self._gradients(self._singles)]
        return self._weight * sum(squares) if squares else None

    def _squares(self) -> list[tuple[Any, float]]:
        found: list[tuple[Any, float]] = []
        for run in self._runs:
            having = [each for each in run if each.grad is not None]
            squares = squares_of_run(self._gradients(having)) if having else []
            found += zip(having, squares, strict=True)
        for each in self._singles:
            found += [(each, square_on_host(gradient)) for gradient in self._gradients([each])]
        return [(each, self._weight * square) for each, square in found]

    def _or_each_by_itself(self, measure: Callable[[], T]) -> T:
        """Measure; where a run cannot be laid together, as of sparse gradients, without runs from then on."""
        try:
            return measure()
        except RuntimeError:
            if not self._runs:
                raise
        self._singles += [each for run in self._runs for each in run]
        self._runs = []
        return measure()

    def _gradients(self, parameters: Sequence[Any]) -> list[Tensor]:
        found = [gradient for each in parameters if (gradient := each.grad) is not None]
        return [local(gradient) for gradient in found] if self._in_dtensors else found


class DevicePart:
    """Parameters on one accelerator, all measured by one call; nothing is read back."""

    def __init__(self, kind: Kind, parameters: Sequence[Any]) -> None:
        self._factor = sqrt(kind.weight)
        self._in_dtensors = kind.in_dtensors
        self._parameters = parameters

    def norms(self) -> Tensor | None:
        """Return the norm of each gradient, shape (n,), as far as it counts; None: there are none."""
        found = [gradient for each in self._parameters if (gradient := each.grad) is not None]
        if not found:
            return None
        norms = norms_on_device([local(gradient) for gradient in found] if self._in_dtensors else found)
        return norms if self._factor == 1.0 else norms * self._factor

    def having(self) -> list[Any]:
        """Return the parameters that have a gradient, in the order of `norms`."""
        return [each for each in self._parameters if each.grad is not None]


def _runs(parameters: Sequence[Any]) -> tuple[list[list[Any]], list[Any]]:
    """Return runs of small parameters of one shape, of a bounded size, and those that are in none."""
    alike: dict[tuple[int, ...], list[Any]] = {}
    singles: list[Any] = []
    for each in parameters:
        held = local(each)
        if held.numel() > SMALL_ELEMENTS or held.is_complex():
            singles.append(each)
        else:
            alike.setdefault(tuple(held.shape), []).append(each)
    runs: list[list[Any]] = []
    for shape, members in alike.items():
        if len(members) == 1 or not shape:  # what has no dimension cannot be laid together
            singles += members
            continue
        length = max(1, RUN_ELEMENTS // max(1, local(members[0]).numel()))
        runs += [members[start : start + length] for start in range(0, len(members), length)]
    return runs, singles
