"""The layers that were told, so that each is told once, and many together as one finding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from trimtab_monitor.detectors.layer_norms import MOST_LAYERS, PREFIX, Move, Moves
from trimtab_monitor.types import Finding, Sample

LONGER: Final = 3
"""A move counts once it lasts so many times longer than any of that layer that was over by itself."""

MOST_NAMED: Final = 16
LEAST_NOISE: Final = 0.05
LARGEST_MOVE: Final = 100.0
"""The logarithm that a fall to zero is taken for."""


@dataclass(slots=True)
class ToldLayers:
    """The metric names of layers that are up, or down, and were told; `most` says how many were told last."""

    names: list[str] = field(default_factory=list)
    most: int = 0

    def worst(self, sample: Sample, moves: Moves, up: bool, lasting_samples: int) -> str | None:
        """Return the layer to tell of; None unless there is a first, or they have become twice as many."""
        if not moves and not self.names:
            return None
        away = {name: move for name, move in moves.items() if move.up == up}
        self.names = [name for name in self.names if name in away or name not in sample.values]
        known = set(self.names)
        for name, move in away.items():
            if name not in known and move.samples >= max(lasting_samples, LONGER * move.longest):
                self.names.append(name)
        if not self.names:
            self.most = 0
        told = [name for name in self.names if name in away]
        if not told or len(self.names) < max(1, 2 * self.most):
            return None
        self.most = len(self.names)
        return max(told, key=lambda name: abs(away[name].by))

    def finding(self, kind: str, sample: Sample, name: str, move: Move) -> Finding:
        """Tell of the layer, and name the others."""
        others = [other for other in self.names if other != name]
        evidence: dict[str, Any] = {"samples": move.samples, "layers": len(self.names)}
        evidence["others"] = others[:MOST_NAMED]
        sent = sum(each.startswith(PREFIX) for each in sample.values)
        if sent > MOST_LAYERS:
            evidence["layers_not_watched"] = sent - MOST_LAYERS
        return Finding(
            kind=kind,
            metric=name,
            severity="warning",
            step=sample.step,
            time=sample.time,
            onset_step=min(move.onset_step, sample.step),
            value=move.value,
            expected=move.expected,
            score=min(abs(move.by), LARGEST_MOVE) / max(move.noise, LEAST_NOISE),
            evidence=evidence,
        )

    def clear(self) -> None:
        """Nothing is told any more."""
        self.names.clear()
        self.most = 0
