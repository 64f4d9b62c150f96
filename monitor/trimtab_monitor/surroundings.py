"""What the incident book remembers of a run beside its incidents, for the clues in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.onsets import onsets_of
from trimtab_monitor.peers import Extent, PeerLosses
from trimtab_monitor.trail import Trail, around, calm_between
from trimtab_monitor.types import Incident, Sample

ONSETS_KEPT: Final = 16
SAME_STEPS: Final = 1
"""The same batch shows at the same step, or one off it."""

RESUMED_STEPS: Final = 10
"""Trouble so many steps after a run was started again has to do with that."""


@dataclass(slots=True)
class Surroundings:
    """The trail of the last steps, the other ranks, and what earlier attempts went through.

    `began_step` is the first step of an attempt that was started again from outside, none where a command
    took the run back: the data goes on then. `onsets` holds attempt and step of earlier trouble.
    `row_steps` are the steps from one row of the first rank to the next, `samples` counts its rows.
    """

    trail: Trail = field(default_factory=Trail)
    peers: PeerLosses = field(default_factory=PeerLosses)
    attempt: int = 0
    began_step: int | None = None
    commanded: bool = False
    onsets: list[tuple[int, int]] = field(default_factory=list)
    last_step: int = 0
    row_steps: int = 1
    samples: int = 0
    lead: int = 0

    def note(self, sample: Sample, lead: int = 0) -> bool:
        """Take the next sample of any rank; tell whether it is the first after a restart from outside.

        `lead` is the rank with which the others are compared.
        """
        self.lead = lead
        restarted = False
        if sample.attempt != self.attempt:
            if sample.attempt < self.attempt:
                return False
            restarted = not self.commanded
            self._enter(sample)
        if sample.rank == lead and sample.step != self.last_step:
            self.samples += 1
            self.row_steps = sample.step - self.last_step
            self.last_step = sample.step
        if sample.rank != lead:
            self.peers.note(sample)
        elif len(sample.values) > 1 or (sample.values and wire.LOSS not in sample.values):
            self.trail.note(sample)
        return restarted

    def _enter(self, sample: Sample) -> None:
        self.attempt = sample.attempt
        self.began_step = None if self.commanded else sample.step
        self.commanded = False
        self.peers.clear()
        self.trail.rewind(sample.step - 1)
        self.last_step = sample.step - 1

    def rolled_back(self, step: int) -> None:
        """A command took the run back to `step`: it goes on with other data."""
        self.commanded = True
        self.onsets.clear()
        self.trail.rewind(step)
        self.peers.clear()

    def began(self, incident: Incident) -> None:
        """Remember where an incident began, should the same step be lived again."""
        self.onsets.append((incident.attempt, incident.start_step))
        del self.onsets[:-ONSETS_KEPT]

    def clues(self, incident: Incident) -> dict[str, Any]:
        """What was just before an incident and since, as long as the attempt is the one it began in."""
        if incident.attempt != self.attempt:
            return {}
        onset = incident.start_step
        known = around(self.trail.rows, onset)
        if self.row_steps > 1:
            known["row_steps"] = self.row_steps
        if wire.LOSS in (onsets := onsets_of(incident)) or incident.metric == wire.LOSS:
            known |= self._gradients_between(onsets, incident)
        if self.peers.ranks:
            known["ranks_known"] = self.peers.ranks + 1
        if self.began_step is not None and 0 <= onset - self.began_step <= RESUMED_STEPS:
            known["resumed_step"] = self.began_step
        for attempt, step in self.onsets:
            if attempt < incident.attempt and abs(step - onset) <= SAME_STEPS:
                known["bad_before"] = {"attempt": attempt, "step": step}
        return known

    def _gradients_between(self, onsets: dict[str, int], incident: Incident) -> dict[str, Any]:
        """Whether gradients that had risen before the loss went wrong had come back by then."""
        rose, wrong = onsets.get(wire.GRAD_NORM), onsets.get(wire.LOSS, incident.evidence["step"])
        if rose is None or not calm_between(self.trail.rows, rose, wrong):
            return {}
        return {"grad_norm_came_back": True}

    def extent(self, incident: Incident) -> Extent | None:
        """How many ranks see what an incident tells of the loss, once all were heard of that step."""
        evidence = incident.evidence
        if incident.metric != wire.LOSS or incident.attempt != self.attempt or not self.peers.ranks:
            return None
        if not isfinite(evidence["value"]):
            return self.peers.not_finite(evidence["step"], self.lead in evidence["ranks"])
        if not evidence["value"] > evidence["baseline"]:
            return None
        return self.peers.above(evidence["step"], (evidence["value"] + evidence["baseline"]) / 2)
