"""The gradient norm of a layer falls to nothing: of one, or of all where no whole norm tells of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab_monitor.detectors.layer_norms import Moves
from trimtab_monitor.detectors.told_layers import ToldLayers
from trimtab_monitor.types import Finding, Sample


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DeadLayerSettings:
    """When a layer's norm is told as gone, against its own past and against the other layers."""

    min_fall: Annotated[
        float, Field(gt=1, description="The norm must fall to one part in so many of what it was.")
    ] = 100.0
    lasting_samples: Annotated[
        int, Field(ge=2, description="It must stay there for so many samples that have layers' norms.")
    ] = 20


@dataclass(slots=True)
class DeadLayer:
    """A `warning`: the run goes on, without that layer. Zero counts as the deepest fall of all.

    >>> import random
    >>> from trimtab_monitor.detectors.layer_norms import LayerNorms
    >>> noise, layers, detector = random.Random(1), LayerNorms(), DeadLayer()
    >>> for step in range(1, 200):
    ...     norms = {f"grad_norm/block.{i}": noise.lognormvariate(0, 0.5) for i in range(12)}
    ...     if step >= 100:
    ...         norms["grad_norm/block.7"] = 0.0
    ...     sample = Sample(step, float(step), norms)
    ...     found = detector.update(sample, layers.update(sample))
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity, found.metric)
    119 100 warning grad_norm/block.7
    """

    kind: ClassVar[str] = "dead_layer"
    settings: DeadLayerSettings = field(default_factory=DeadLayerSettings)
    told: ToldLayers = field(default_factory=ToldLayers)

    @property
    def active(self) -> bool:
        """Whether a layer that was told is still at its low."""
        return bool(self.told.names)

    def update(self, sample: Sample, moves: Moves) -> Finding | None:
        """Take a sample and the layers that are out of the ordinary; return a finding when one is dead."""
        name = self.told.worst(sample, moves, up=False, lasting_samples=self.settings.lasting_samples)
        if name is None:
            return None
        return self.told.finding(self.kind, sample, name, moves[name])

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        del step
        self.told.clear()
