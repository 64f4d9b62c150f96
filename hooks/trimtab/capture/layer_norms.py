"""The gradient norm of each layer, on every so many steps of each optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.capture.gradient_pass import GradientPass, index_on
from trimtab.capture.layers import layers_of, plain_name
from trimtab.capture.slot import Slot
from trimtab.vocabulary import GRAD_NORM, GRAD_NORM_SQ_SHARD

if TYPE_CHECKING:
    from torch import Tensor


class LayerNorms:
    """Measures layers on the steps N, 2 N, 3 N and so on of an optimizer, of `most` layers at most.

    A layer's name comes from `models`, else from the optimizer's own names, else from the group's number.
    A layer that had a gradient once is measured from then on: 0 where it has none. A rank that holds shares
    (`in_shares`) sends squares. One bundle a row goes to `slot`, whatever the number of optimizers.
    """

    def __init__(
        self,
        models: Sequence[Any],
        optimizers: Sequence[Any],
        every: int,
        most: int,
        in_shares: bool,
        slot: Slot[Tensor],
    ) -> None:
        self._models = models
        self._optimizers = optimizers
        self._every = every
        self._most = most
        self._in_shares = in_shares
        self._slot = slot
        self._steps = [0] * len(optimizers)
        self._names: list[str] = []
        self._layer_of: dict[int, int] = {}
        self._had: dict[int, frozenset[int]] = {}
        self._indices: dict[tuple[int, ...], tuple[list[int], Tensor]] = {}

    def is_due(self, index: int) -> bool:
        """Count a step of an optimizer; tell whether its layers are to be measured."""
        self._steps[index] += 1
        return self._steps[index] % self._every == 0

    def measure(self, index: int, gradients: GradientPass) -> Tensor | None:
        """Measure the layers of one optimizer; return the sum of all squares; None: it has no gradients."""
        try:
            found = gradients.squares(self._layer_of, len(self._names))
        except KeyError:  # the first step, or parameters came to the optimizer
            self._arrange()
            found = gradients.squares(self._layer_of, len(self._names))
        if found is None:
            return None
        squares, having = found
        self._had[index] = self._had.get(index, frozenset()) | having
        self._put(self._slot.gather(index, squares))
        return squares.sum()

    def _arrange(self) -> None:
        parameters = _names(self._models, self._optimizers)
        layers = layers_of(list(dict.fromkeys(parameters.values())), self._most)
        self._names = list(dict.fromkeys(layers.values()))
        positions = {name: position for position, name in enumerate(self._names)}
        self._layer_of = {each: positions[layers[name]] for each, name in parameters.items()}
        self._had.clear()

    def _put(self, parts: Mapping[int, Tensor]) -> None:
        """Put the bundle of all optimizers that have stepped since the last row."""
        first, *others = parts.values()
        total = first
        for other in others:
            total = total + other.to(first.device, non_blocking=True)
        shown = sorted(frozenset[int]().union(*(self._had[index] for index in parts)))
        if len(shown) < len(self._names):
            total = total.index_select(0, self._index(tuple(parts), shown, total))
        prefix = GRAD_NORM_SQ_SHARD if self._in_shares else GRAD_NORM
        names = tuple(f"{prefix}/{self._names[position]}" for position in shown)
        self._slot.put(names, total if self._in_shares else total.sqrt())

    def _index(self, stepped: tuple[int, ...], shown: list[int], beside: Tensor) -> Tensor:
        """Return the layers shown as a tensor, copied to the device only where they have changed."""
        known = self._indices.get(stepped)
        if known is None or known[0] != shown or known[1].device != beside.device:
            known = self._indices[stepped] = shown, index_on(shown, beside.device)
        return known[1]


def _names(models: Sequence[Any], optimizers: Sequence[Any]) -> dict[int, str]:
    """Return a name for each parameter of the optimizers, by its id: in the order of the model."""
    many = len(models) > 1
    known = {
        id(parameter): (f"{index}." if many else "") + plain_name(name)
        for index, model in enumerate(models)
        for name, parameter in getattr(model, "named_parameters", list)()
    }
    held: dict[int, str] = {}
    for index, optimizer in enumerate(optimizers):
        for number, group in enumerate(optimizer.param_groups):
            own = f"optimizer{index}.group{number}" if len(optimizers) > 1 else f"group{number}"
            names = group.get("param_names") or [own] * len(group["params"])
            for name, parameter in zip(names, group["params"], strict=True):
                held[id(parameter)] = known.get(id(parameter)) or plain_name(name)
    order = {name: position for position, name in enumerate(known.values())}
    return dict(sorted(held.items(), key=lambda item: order.get(item[1], len(order))))
