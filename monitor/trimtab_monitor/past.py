"""What the incident book remembers of incidents that are over: what comes again, and what climbs.

A hard batch that comes back every hundred steps is one story, not one incident a time. And a loss that rises
so slowly that each new level is taken for normal is one rise, however many incidents tell of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.types import SEVERITY_RANK, Finding, Incident, Sample

AGAIN_SAMPLES: Final = 500
"""What comes again within so many samples of the last time comes again and again."""

TOLD_EACH: Final = 4
"""So many alike are told each, for they may be several troubles; the next are told in the last of them."""

ALIKE: Final = 1.5
"""What is so many times as far from what is usual as the last time is told anew."""

ALIKE_IN_RISE: Final = 3.0
"""And so is what rose so many times as much."""

RECURRING: Final = frozenset(("loss_spike", "grad_explosion", "non_finite", "exploding_layer"))

CLIMB_SAMPLES: Final = 50
"""A rise that begins so soon after the last was taken for normal goes on with it."""

CLIMBING: Final = frozenset(("loss_spike", "divergence", "level_shift"))

CLIMBED_FAR: Final = 1.25
"""A loss so many times the one before the whole climb is critical, however slowly it came there."""


@dataclass(slots=True)
class Recurrence:
    """A copy of the last incident of a kind that came and went, when it ended, and how many there were."""

    incident: Incident
    ended: int
    times: int
    since: int


@dataclass(slots=True)
class Climb:
    """The loss before the first of some rises that were each taken for normal, and when the last was."""

    baseline: float
    step: int
    attempt: int
    ended: int


@dataclass(slots=True)
class Past:
    """At most one recurrence of each kind, and one climb. Samples are counted, not steps."""

    recurrences: dict[str, Recurrence] = field(default_factory=dict)
    climb: Climb | None = None

    def over(self, incident: Incident, samples: int) -> None:
        """An incident is over, after so many samples of the run."""
        evidence = incident.evidence
        stayed_up = evidence.get("accepted") and evidence.get("settled", 0.0) > evidence["baseline"]
        if stayed_up or "climbed_from" in evidence:
            self._note_climb(incident, samples)
        by_itself = "resolved_step" in evidence and not evidence.get("accepted") and not evidence["rollbacks"]
        if incident.kind in RECURRING and by_itself:
            self._note_recurrence(incident, samples)

    def _note_climb(self, incident: Incident, samples: int) -> None:
        evidence = incident.evidence
        if incident.kind in CLIMBING and incident.metric == wire.LOSS and isfinite(evidence["baseline"]):
            baseline = evidence.get("climbed_from", evidence["baseline"])
            step = evidence.get("climbed_since", incident.start_step)
            self.climb = Climb(baseline, step, incident.attempt, samples)

    def _note_recurrence(self, incident: Incident, samples: int) -> None:
        known = self.recurrences.get(incident.kind)
        times, since = 1, incident.start_step
        if known is not None and known.incident.id == incident.id:
            times, since = known.times, known.since
        elif known is not None and self._is_alike(known, incident, samples):
            times, since = known.times + 1, known.since
        self.recurrences[incident.kind] = Recurrence(deepcopy(incident), samples, times, since)

    def _is_alike(self, known: Recurrence, incident: Incident, samples: int) -> bool:
        """Whether an incident that has just ended came again as the last one was."""
        last = known.incident
        soon = samples - known.ended <= AGAIN_SAMPLES and last.attempt == incident.attempt
        milder = SEVERITY_RANK[incident.severity] <= SEVERITY_RANK[last.severity]
        worst = max(incident.evidence["findings"], key=lambda told: float(told["score"]))
        return (
            soon and milder and incident.metric == last.metric and _no_worse(worst, last.evidence["findings"])
        )

    def again(self, sample: Sample, finding: Finding, samples: int) -> Incident | None:
        """Return the incident that this finding opens again; None where it tells of something new."""
        for known in self.recurrences.values():
            incident = known.incident
            soon = samples - known.ended <= AGAIN_SAMPLES and sample.attempt == incident.attempt
            if "followed_by" in incident.evidence:
                continue
            if known.times >= TOLD_EACH and soon and _is_like(finding, incident):
                known.times += 1
                return _reopened(incident, finding, known)
        return None

    def goes_on(self, incident: Incident, samples: int) -> None:
        """Say of a rise that goes on with the last ones from where they came."""
        climb, evidence = self.climb, incident.evidence
        if climb is None or climb.attempt != incident.attempt or incident.metric != wire.LOSS:
            return
        soon = samples - climb.ended <= CLIMB_SAMPLES and incident.start_step >= climb.step
        if soon and incident.kind in CLIMBING and evidence["baseline"] > climb.baseline:
            evidence |= {"climbed_from": climb.baseline, "climbed_since": climb.step}
            self.climb = None


def climbed_far(incident: Incident) -> bool:
    """Whether the loss is far above where the climb began; a spike on the way tells nothing of that."""
    evidence = incident.evidence
    start = evidence.get("climbed_from", 0.0)
    if start <= 0.0:
        return False
    levels = [evidence["baseline"], incident.bad.middle, evidence["value"]]
    if incident.kind == "loss_spike":
        del levels[1:]
    return any(level is not None and level > CLIMBED_FAR * start for level in levels)


def _no_worse(found: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> bool:
    """Whether it is about as far off as the worst before: in noise, and in itself, where scores saturate."""
    score = max(told["score"] for told in before)
    rise = max(_rise(told) for told in before)
    return bool(found["score"] <= ALIKE * score) and not _rise(found) > ALIKE_IN_RISE * rise


def _rise(told: Mapping[str, Any]) -> float:
    rise = abs(told["value"] - told["expected"])
    return rise if isfinite(rise) else 0.0


def _is_like(finding: Finding, incident: Incident) -> bool:
    """Whether a finding is one of those that an incident was told by before, and no graver."""
    told = [
        each
        for each in incident.evidence["findings"]
        if each["kind"] == finding.kind and each["metric"] == finding.metric
    ]
    milder = SEVERITY_RANK[finding.severity] <= SEVERITY_RANK[incident.severity]
    found = {"score": finding.score, "value": finding.value, "expected": finding.expected}
    return milder and bool(told) and _no_worse(found, told)


def _reopened(last: Incident, finding: Finding, known: Recurrence) -> Incident:
    incident = deepcopy(last)
    incident.state, incident.end_step, incident.resolved_at = "open", None, None
    incident.bad_samples = incident.clean_samples = incident.quiet_samples = 0
    incident.calm.clear()
    incident.watched.clear()
    for name in ("resolved_step", "accepted", "settled", "held_samples"):
        incident.evidence.pop(name, None)
    incident.evidence |= {"times": known.times, "since": known.since, "again_step": finding.onset_step}
    incident.evidence["told_severity"] = incident.severity
    return incident
