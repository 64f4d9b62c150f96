"""The ways of watching whose cost to a training loop is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trimtab.signals import Signals


@dataclass(frozen=True, slots=True)
class Way:
    """A way of watching: what else is measured, and whether the loop hands over the norm it clips by.

    `allowed_percent` of the throughput is the most that it may cost; None: it is only told.
    """

    signals: Signals | None = None
    gives_norm: bool = False
    allowed_percent: float | None = None


WITHOUT: Final = "without"
WAYS: Final[Mapping[str, Way]] = {
    "default": Way(allowed_percent=0.5),
    "default, norm given": Way(gives_norm=True, allowed_percent=0.5),
    "layer norms every 10": Way(Signals(layer_norms_every=10), allowed_percent=1.0),
    "parameter norm every 10": Way(Signals(param_norm_every=10)),
    "update ratio every 10": Way(Signals(update_ratio_every=10)),
    "activations every 10": Way(Signals(activations_every=10)),
}
MAIN: Final = ("default", "layer norms every 10")
"""What is measured unless others are asked for: few, so that each gets the time for a narrow interval."""
