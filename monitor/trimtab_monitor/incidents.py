"""Joins findings that belong together into incidents, and follows each until it is over.

At any time a run has at most one open incident that the detectors made: a gradient spike and the loss spike
that follows it are one story, and so are the findings on several ranks or after a rollback that did not help.
Others (a hung or failed run) are opened and resolved by whoever knows, and stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.detectors.non_finite import WATCHED
from trimtab_monitor.incident_text import describe, is_accepted
from trimtab_monitor.rate_trail import RateTrail
from trimtab_monitor.types import SEVERITY_RANK, Finding, Incident, Sample, Severity

KIND_RANK: Final[Mapping[str, int]] = {"grad_explosion": 0, "divergence": 1, "loss_spike": 2, "non_finite": 3}
"""An incident is named after the gravest kind of finding in it."""

FINDINGS_KEPT: Final = 32
RANKS_KEPT: Final = 64
ROLLBACKS_KEPT: Final = 32


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class IncidentSettings:
    """When an incident is over."""

    resolve_samples: Annotated[
        int, Field(ge=1, description="Clean samples in a row after which an incident is resolved.")
    ] = 10
    mark_samples: Annotated[int, Field(ge=1, description="The same for one of severity info.")] = 3


@dataclass(slots=True)
class IncidentBook:
    """The open incidents of one run. Serialises; what is resolved is handed out and forgotten.

    `counted` is the attempt and step of the sample that was counted last as bad or clean.
    """

    run: str
    settings: IncidentSettings = field(default_factory=IncidentSettings)
    ordinal: int = 0
    incidents: list[Incident] = field(default_factory=list)
    rates: RateTrail = field(default_factory=RateTrail)
    counted: list[int] = field(default_factory=list)

    @property
    def open(self) -> list[Incident]:
        """The incidents that are not over, oldest first."""
        return list(self.incidents)

    def observe(
        self, sample: Sample, findings: Sequence[Finding], active: Callable[[Collection[str]], bool]
    ) -> list[Incident]:
        """Take a sample and what the detectors found in it; return the incidents that changed.

        `active` tells whether what detectors of some kinds found is still so, as `DetectorSet.active` does.
        """
        first_rank = sample.rank == 0
        if first_rank:
            self.rates.note(sample)
        incident = self._detected()
        if incident is None and not findings:
            return []
        if incident is None:
            incident = self._open(sample, findings)
        for finding in findings:
            self._join(incident, sample, finding)
        changed = first_rank and self._follow(incident, sample, active)
        if not (changed or findings):
            return []
        if findings:
            incident.bad_samples = max(1, incident.bad_samples)
        incident.summary = describe(incident)
        return [incident]

    def _detected(self) -> Incident | None:
        return next((incident for incident in self.incidents if incident.kind in KIND_RANK), None)

    def _open(self, sample: Sample, findings: Sequence[Finding]) -> Incident:
        first = findings[0]
        incident = Incident(
            id=self._next_id(),
            kind=first.kind,
            severity=first.severity,
            metric=first.metric,
            start_step=min(finding.onset_step for finding in findings),
            detected_step=sample.step,
            peak_step=sample.step,
            end_step=None,
            state="open",
            summary="",
            evidence={"detectors": [], "ranks": [], "findings": [], "rollbacks": []},
            attempt=sample.attempt,
            opened_at=sample.time,
            last_bad_step=sample.step,
        )
        self.incidents.append(incident)
        return incident

    def _next_id(self) -> str:
        self.ordinal += 1
        return f"{self.run}.{self.ordinal}"

    def _join(self, incident: Incident, sample: Sample, finding: Finding) -> None:
        evidence = incident.evidence
        if finding.kind not in evidence["detectors"]:
            evidence["detectors"].append(finding.kind)
        if sample.rank not in evidence["ranks"] and len(evidence["ranks"]) < RANKS_KEPT:
            evidence["ranks"].append(sample.rank)
        leads = not evidence["findings"] or _outranks(finding, incident)
        if len(evidence["findings"]) < FINDINGS_KEPT:
            evidence["findings"].append(_told(finding, sample))
        if sample.attempt == incident.attempt:
            incident.start_step = min(incident.start_step, finding.onset_step)
            evidence |= self.rates.around(incident.start_step, sample)
        incident.severity = _severity(incident)
        incident.clean_samples = 0
        if leads:
            self._lead(incident, finding)
        evidence["delay_steps"] = incident.detected_step - incident.start_step

    def _lead(self, incident: Incident, finding: Finding) -> None:
        """The incident is told by its gravest finding."""
        evidence = incident.evidence
        if incident.metric != finding.metric or not finding.value <= evidence.get("peak", -inf):
            incident.peak_step = finding.step
            evidence["peak"] = finding.value
        incident.kind, incident.metric = finding.kind, finding.metric
        evidence |= {
            "value": finding.value,
            "baseline": finding.expected,
            "score": finding.score,
            "step": finding.step,
        }

    def _follow(self, incident: Incident, sample: Sample, active: Callable[[Collection[str]], bool]) -> bool:
        """Count the sample as bad or clean; tell whether that changed what there is to say."""
        if not self._is_new(sample):
            return False
        if active(incident.evidence["detectors"]):
            incident.bad_samples += 1
            incident.clean_samples = 0
            incident.last_bad_step = max(incident.last_bad_step, sample.step)
            return _higher_peak(incident, sample)
        _note_calm(incident, sample)
        incident.bad_samples = 0
        incident.clean_samples += 1
        marks = incident.severity == "info"
        enough = self.settings.mark_samples if marks else self.settings.resolve_samples
        if incident.clean_samples < enough:
            return False
        incident.evidence["resolved_step"] = sample.step
        incident.evidence["accepted"] = _stayed_up(incident)
        self._close(incident, incident.last_bad_step, sample.time)
        return True

    def _is_new(self, sample: Sample) -> bool:
        """Count each step once, however many samples it comes in, and only where something was measured."""
        place = [sample.attempt, sample.step]
        if place == self.counted or sample.values.keys().isdisjoint(WATCHED):
            return False
        self.counted = place
        return True

    def _close(self, incident: Incident, end_step: int, time: float) -> None:
        incident.state = "resolved"
        incident.end_step = end_step
        incident.resolved_at = time
        self.incidents.remove(incident)

    def open_special(
        self, kind: str, severity: Severity, step: int, time: float, summary: str, evidence: dict[str, Any]
    ) -> Incident:
        """Open an incident that no detector makes, or tell the open one of this kind anew."""
        known = next((incident for incident in self.incidents if incident.kind == kind), None)
        if known is not None:
            known.severity, known.summary, known.evidence = severity, summary, evidence
            return known
        incident = Incident(
            id=self._next_id(),
            kind=kind,
            severity=severity,
            metric="",
            start_step=step,
            detected_step=step,
            peak_step=step,
            end_step=None,
            state="open",
            summary=summary,
            evidence=evidence,
            opened_at=time,
            last_bad_step=step,
        )
        self.incidents.append(incident)
        return incident

    def resolve(self, incident_id: str, step: int, time: float) -> Incident:
        """Resolve an open incident by hand.

        Raises:
            KeyError: no open incident has this id.
        """
        for incident in self.incidents:
            if incident.id == incident_id:
                self._close(incident, step, time)
                return incident
        raise KeyError(f"no open incident {incident_id!r}; open: {[known.id for known in self.incidents]}")

    def rolled_back(self, command: str, to_step: int, time: float) -> list[Incident]:
        """The run went back to `to_step` by this command: what is open stays open, and is watched anew."""
        self.rates.rewind(to_step)
        incident = self._detected()
        if incident is None:
            return []
        incident.bad_samples = incident.clean_samples = 0
        rollbacks = incident.evidence["rollbacks"]
        if len(rollbacks) < ROLLBACKS_KEPT:
            rollbacks.append({"command": command, "to_step": to_step, "time": time})
        incident.summary = describe(incident)
        return [incident]


def _outranks(finding: Finding, incident: Incident) -> bool:
    """The gravest kind tells the story; of one kind the highest value, until the run is rolled back."""
    ours, theirs = KIND_RANK[finding.kind], KIND_RANK[incident.kind]
    if ours != theirs:
        return ours > theirs
    return not incident.evidence["rollbacks"] and finding.value > incident.evidence["value"]


def _severity(incident: Incident) -> Severity:
    """The gravest of all findings; loss and gradient up together are critical."""
    gravest: Severity = incident.severity
    alarmed: set[str] = set()
    for finding in incident.evidence["findings"]:
        severity: Severity = finding["severity"]
        if SEVERITY_RANK[severity] > SEVERITY_RANK[gravest]:
            gravest = severity
        if severity != "info":
            alarmed.add(finding["metric"])
    return "critical" if {wire.LOSS, wire.GRAD_NORM} <= alarmed else gravest


def _higher_peak(incident: Incident, sample: Sample) -> bool:
    value = sample.values.get(incident.metric)
    peak = incident.evidence["peak"]
    if (
        value is None
        or sample.attempt != incident.attempt
        or not isfinite(peak)
        or (isfinite(value) and value <= peak)
    ):
        return False
    incident.evidence["peak"] = value
    incident.peak_step = sample.step
    return True


def _note_calm(incident: Incident, sample: Sample) -> None:
    """Remember how long it was bad, and the lowest value of the metric since: noise alone must not tell."""
    evidence = incident.evidence
    if incident.clean_samples == 0:
        evidence.pop("settled", None)
    if incident.bad_samples:
        evidence["held_samples"] = incident.bad_samples
    value = sample.values.get(incident.metric)
    if value is not None:
        evidence["settled"] = min(value, evidence.get("settled", inf))


def _stayed_up(incident: Incident) -> bool:
    evidence = incident.evidence
    return "settled" in evidence and is_accepted(evidence["baseline"], evidence["peak"], evidence["settled"])


def _told(finding: Finding, sample: Sample) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "metric": finding.metric,
        "severity": finding.severity,
        "step": finding.step,
        "onset_step": finding.onset_step,
        "value": finding.value,
        "expected": finding.expected,
        "score": finding.score,
        "attempt": sample.attempt,
        "rank": sample.rank,
    }
