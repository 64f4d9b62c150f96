"""The detectors, in one visible list. Each looks at one sample at a time; its attributes are its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, log
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from trimtab import wire
from trimtab_monitor.detectors.dead_layer import DeadLayer, DeadLayerSettings
from trimtab_monitor.detectors.divergence import Divergence, DivergenceSettings
from trimtab_monitor.detectors.excursion import Excursion, ExcursionSettings
from trimtab_monitor.detectors.exploding_layer import ExplodingLayer, ExplodingLayerSettings
from trimtab_monitor.detectors.faulty_device import FaultyDevice, FaultyDeviceSettings
from trimtab_monitor.detectors.grad_explosion import GradExplosion, GradExplosionSettings
from trimtab_monitor.detectors.lasting_rise import LastingRise, LastingRiseSettings
from trimtab_monitor.detectors.layer_norms import LayerNorms, has_layers
from trimtab_monitor.detectors.level_shift import LevelShift, LevelShiftSettings
from trimtab_monitor.detectors.loss_scale_collapse import LossScaleCollapse, LossScaleCollapseSettings
from trimtab_monitor.detectors.loss_spike import LossSpike
from trimtab_monitor.detectors.non_finite import NonFinite, NonFiniteSettings
from trimtab_monitor.detectors.overfitting import Overfitting, OverfittingSettings
from trimtab_monitor.detectors.plateau import Plateau, PlateauSettings
from trimtab_monitor.detectors.straggler import Straggler, StragglerSettings
from trimtab_monitor.detectors.throughput_drop import EARLIEST_CLOCK, ThroughputDrop, ThroughputDropSettings
from trimtab_monitor.detectors.vanishing_gradients import VanishingGradients, VanishingGradientsSettings
from trimtab_monitor.types import Detector, Finding, Sample

__all__ = ["DetectorSet", "DetectorSettings"]

LOSSES_MISSED: Final = 256
"""A rank other than 0 that sent no loss while others sent those of so many steps leads no more."""

OF_ONE_RANK: Final = (
    "loss_spike",
    "grad_explosion",
    "lasting_rise",
    "divergence",
    "level_shift",
    "vanishing_gradients",
    "layers",
    "dead_layer",
    "exploding_layer",
    "plateau",
    "overfitting",
    "loss_scale_collapse",
    "throughput_drop",
)
"""The attributes that hold statistics: of one rank. Non-finite values count on all, paces are compared."""


class DetectorSettings(BaseModel):
    """What counts as out of the ordinary, one group a detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    non_finite: NonFiniteSettings = Field(
        default=NonFiniteSettings(),
        description="Loss, gradient norm or evaluation loss that is NaN or infinite.",
    )
    loss_spike: ExcursionSettings = Field(
        default=ExcursionSettings(), description="Loss far above its usual noise within a few steps."
    )
    grad_explosion: GradExplosionSettings = Field(
        default=GradExplosionSettings(), description="Gradient norm that climbs by factors."
    )
    lasting_rise: LastingRiseSettings = Field(
        default=LastingRiseSettings(), description="Loss that is lastingly higher: what the next two share."
    )
    divergence: DivergenceSettings = Field(
        default=DivergenceSettings(), description="Loss that creeps upwards over tens of steps."
    )
    level_shift: LevelShiftSettings = Field(
        default=LevelShiftSettings(), description="Loss that has settled at a higher level."
    )
    vanishing_gradients: VanishingGradientsSettings = Field(
        default=VanishingGradientsSettings(), description="Gradient norm that falls to next to nothing."
    )
    dead_layer: DeadLayerSettings = Field(
        default=DeadLayerSettings(), description="Gradient norm of one layer that falls to next to nothing."
    )
    exploding_layer: ExplodingLayerSettings = Field(
        default=ExplodingLayerSettings(), description="Gradient norm of one layer that climbs by factors."
    )
    plateau: PlateauSettings = Field(
        default=PlateauSettings(), description="Loss that has stopped falling before the end."
    )
    overfitting: OverfittingSettings = Field(
        default=OverfittingSettings(), description="Evaluation loss that rises while the training loss falls."
    )
    loss_scale_collapse: LossScaleCollapseSettings = Field(
        default=LossScaleCollapseSettings(), description="Loss scale that halves again and again."
    )
    throughput_drop: ThroughputDropSettings = Field(
        default=ThroughputDropSettings(), description="Steps, or tokens, a second that fall and stay low."
    )
    straggler: StragglerSettings = Field(
        default=StragglerSettings(), description="A rank that is lastingly slower than the others."
    )
    faulty_device: FaultyDeviceSettings = Field(
        default=FaultyDeviceSettings(), description="A GPU that is not as the others of the run."
    )


@dataclass(slots=True)
class DetectorSet:
    """All detectors of one run. Serialises with msgspec, and goes on exactly where it was.

    Statistics are made of the samples of `rank`: the lowest that sends a loss, for of a pipeline only the
    last stage knows it; rank 0 while none does. `led` says whether it sent one, `own_norms` whether it sends
    gradient norms, being another rank than 0: until it does those of rank 0, or of the whole run, count.
    """

    non_finite: NonFinite = field(default_factory=NonFinite)
    loss_spike: LossSpike = field(default_factory=LossSpike)
    grad_explosion: GradExplosion = field(default_factory=GradExplosion)
    lasting_rise: LastingRise = field(default_factory=LastingRise)
    divergence: Divergence = field(default_factory=Divergence)
    level_shift: LevelShift = field(default_factory=LevelShift)
    vanishing_gradients: VanishingGradients = field(default_factory=VanishingGradients)
    layers: LayerNorms = field(default_factory=LayerNorms)
    dead_layer: DeadLayer = field(default_factory=DeadLayer)
    exploding_layer: ExplodingLayer = field(default_factory=ExplodingLayer)
    plateau: Plateau = field(default_factory=Plateau)
    overfitting: Overfitting = field(default_factory=Overfitting)
    loss_scale_collapse: LossScaleCollapse = field(default_factory=LossScaleCollapse)
    throughput_drop: ThroughputDrop = field(default_factory=ThroughputDrop)
    straggler: Straggler = field(default_factory=Straggler)
    faulty_device: FaultyDevice = field(default_factory=FaultyDevice)
    attempt: int = 0
    rank: int = 0
    led: bool = False
    own_norms: bool = False
    losses_missed: int = 0
    missed_step: int = -1

    @classmethod
    def build(cls, settings: DetectorSettings) -> DetectorSet:
        """Make a set that knows nothing yet."""
        layers = LayerNorms(log(settings.exploding_layer.min_rise), log(settings.dead_layer.min_fall))
        return cls(
            non_finite=NonFinite(settings.non_finite),
            loss_spike=LossSpike(Excursion(settings.loss_spike)),
            grad_explosion=GradExplosion(Excursion(settings.grad_explosion.of_excursion())),
            lasting_rise=LastingRise(settings.lasting_rise),
            divergence=Divergence(settings.divergence),
            level_shift=LevelShift(settings.level_shift),
            vanishing_gradients=VanishingGradients(settings.vanishing_gradients),
            layers=layers,
            dead_layer=DeadLayer(settings.dead_layer),
            exploding_layer=ExplodingLayer(settings.exploding_layer),
            plateau=Plateau(settings.plateau),
            overfitting=Overfitting(settings.overfitting),
            loss_scale_collapse=LossScaleCollapse(settings.loss_scale_collapse),
            throughput_drop=ThroughputDrop(settings.throughput_drop),
            straggler=Straggler(settings.straggler),
            faulty_device=FaultyDevice(settings.faulty_device),
        )

    def update(self, sample: Sample) -> list[Finding]:
        """Take the next sample of any rank; return what is new about it.

        A sample of a later attempt rewinds the set to just before it; one of an earlier attempt comes too
        late to matter, and is ignored.
        """
        if sample.attempt != self.attempt:
            if sample.attempt < self.attempt:
                return []
            self.attempt = sample.attempt
            self.rewind(sample.step - 1)
        found: list[Finding] = []
        _keep(found, self.non_finite.update(sample))
        if sample.rank == self.rank or (wire.LOSS in sample.values and self._takes_over(sample)):
            self._statistics(sample, found)
        elif sample.rank == 0 and not self.own_norms:
            self._of_gradients(sample, found)
        if sample.rank or self.straggler.has_peers:
            _keep(found, self.straggler.update(sample))
        return found

    def _takes_over(self, sample: Sample) -> bool:
        """Whether statistics are made of this rank from now on, as it sends a loss: they begin anew."""
        if self.led and sample.rank > self.rank:
            if self.rank == 0 or sample.step <= self.missed_step:
                return False
            self.missed_step = sample.step
            self.losses_missed += 1
            if self.losses_missed <= LOSSES_MISSED:
                return False
        self.rank, self.own_norms = sample.rank, False
        for name in OF_ONE_RANK:
            setattr(self, name, _anew(getattr(self, name)))
        return True

    def _statistics(self, sample: Sample, found: list[Finding]) -> None:
        """Ask the detectors of the metrics that the sample has, and no others."""
        values = sample.values
        if wire.LOSS in values:
            self.led = True
            self.losses_missed = 0
            spike = self.loss_spike.update(sample)
            if spike is not None:
                found.append(spike)
            self._lasting(sample, found)
            _keep(found, self.plateau.update(sample))
        if wire.EVAL_LOSS in values or self.overfitting.evaluations:
            _keep(found, self.overfitting.update(sample))
        if sample.time > EARLIEST_CLOCK or wire.STEP_SECONDS in values:
            _keep(found, self.throughput_drop.update(sample))
        if len(values) > 1 or wire.LOSS not in values:
            self._of_gradients(sample, found)

    def _of_gradients(self, sample: Sample, found: list[Finding]) -> None:
        values = sample.values
        if wire.GRAD_NORM in values:
            self.layers.whole = True
            self.own_norms = sample.rank != 0
            _keep(found, self.grad_explosion.update(sample))
            _keep(found, self.vanishing_gradients.update(sample))
        if wire.LOSS_SCALE in values:
            _keep(found, self.loss_scale_collapse.update(sample))
        if has_layers(values):
            moves = self.layers.update(sample)
            _keep(found, self.dead_layer.update(sample, moves))
            _keep(found, self.exploding_layer.update(sample, moves))

    def _lasting(self, sample: Sample, found: list[Finding]) -> None:
        """What the loss does that no single step of it shows."""
        lasting, loss, rate = self.lasting_rise, sample.values[wire.LOSS], sample.values.get(wire.LR)
        if rate is not None:
            lasting.rate.note(rate)
        rise = lasting.update(sample.step, loss) if isfinite(loss) else None
        if rise is None and (lasting.told or not (self.divergence.active or self.level_shift.active)):
            return
        known = len(found)
        _keep(found, self.divergence.update(sample, rise, lasting.settings))
        if rise is None or not self.divergence.active:
            _keep(found, self.level_shift.update(sample, rise, lasting.settings))
        lasting.told = lasting.told or len(found) > known

    def active(self, kind: str) -> bool:
        """Whether what the detector of this kind last told is still so: it is the attribute named so."""
        still: bool = getattr(self, kind).active
        return still

    def rewind(self, step: int) -> None:
        """The run was rolled back to `step`, or started again there: forget what came after it."""
        self.layers.rewind()
        self.losses_missed, self.missed_step = 0, -1
        self.lasting_rise.rewind(step)
        for detector in self._all():
            detector.rewind(step)

    def _all(
        self,
    ) -> tuple[Detector | DeadLayer | Divergence | ExplodingLayer | FaultyDevice | LevelShift, ...]:
        return (
            self.non_finite,
            self.loss_spike,
            self.grad_explosion,
            self.divergence,
            self.level_shift,
            self.vanishing_gradients,
            self.dead_layer,
            self.exploding_layer,
            self.plateau,
            self.overfitting,
            self.loss_scale_collapse,
            self.throughput_drop,
            self.straggler,
            self.faulty_device,
        )


def _keep(found: list[Finding], finding: Finding | None) -> None:
    if finding is not None:
        found.append(finding)


def _anew(known: Any) -> Any:
    """Make a detector with the settings of a known one, and nothing learned."""
    if isinstance(known, LayerNorms):
        return LayerNorms(known.min_rise, known.min_fall)
    if isinstance(known, (LossSpike, GradExplosion)):
        return type(known)(Excursion(known.excursion.settings))
    return type(known)(known.settings)
