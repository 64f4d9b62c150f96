"""The gradient norm of one layer climbs by factors, and the others' do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab_monitor.detectors.layer_norms import Moves
from trimtab_monitor.detectors.told_layers import ToldLayers
from trimtab_monitor.types import Finding, Sample


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ExplodingLayerSettings:
    """When a layer's norm is told as exploding, against its own past and against the other layers."""

    min_rise: Annotated[
        float, Field(gt=1, description="The norm must be so many times what it was, and beyond its noise.")
    ] = 5.0
    lasting_samples: Annotated[
        int, Field(ge=1, description="It must be so for so many samples in a row that have layers' norms.")
    ] = 3


@dataclass(slots=True)
class ExplodingLayer:
    """A `warning`: whether the run breaks of it, the whole gradient and the loss will tell.

    >>> import random
    >>> from trimtab_monitor.detectors.layer_norms import LayerNorms
    >>> noise, layers, detector = random.Random(1), LayerNorms(), ExplodingLayer()
    >>> for step in range(1, 200):
    ...     norms = {f"grad_norm/block.{i}": noise.lognormvariate(0, 0.3) for i in range(12)}
    ...     if step >= 100:
    ...         norms["grad_norm/block.7"] *= 1.5 ** (step - 99)
    ...     sample = Sample(step, float(step), norms)
    ...     found = detector.update(sample, layers.update(sample))
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity, found.metric)
    106 104 warning grad_norm/block.7
    """

    kind: ClassVar[str] = "exploding_layer"
    settings: ExplodingLayerSettings = field(default_factory=ExplodingLayerSettings)
    told: ToldLayers = field(default_factory=ToldLayers)

    @property
    def active(self) -> bool:
        """Whether a layer that was told is still up."""
        return bool(self.told.names)

    def update(self, sample: Sample, moves: Moves) -> Finding | None:
        """Take a sample and the layers that are out of the ordinary; return a finding when one explodes."""
        name = self.told.worst(sample, moves, up=True, lasting_samples=self.settings.lasting_samples)
        if name is None:
            return None
        return self.told.finding(self.kind, sample, name, moves[name])

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        del step
        self.told.clear()
