"""Joins findings that belong together into incidents, and follows each until it is over.

At any time a run has at most one open incident of each story that the detectors tell: a gradient spike and
the loss spike that follows it are one, and so are the findings on several ranks or after a rollback that did
not help. Of learning it has one of each kind. Others (a hung or failed run) are opened and resolved by
whoever knows, and stand beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab_monitor.causes import cause_of
from trimtab_monitor.detectors.non_finite import WATCHED
from trimtab_monitor.gathering import (
    Active,
    begins_anew,
    gather,
    higher_peak,
    is_new,
    lasts,
    note_bad,
    note_calm,
    opened,
    stayed_away,
)
from trimtab_monitor.incident_text import describe
from trimtab_monitor.kinds import KINDS, Story
from trimtab_monitor.past import Past, climbed_far
from trimtab_monitor.surroundings import Surroundings
from trimtab_monitor.types import Finding, Incident, Sample, Severity

ROLLBACKS_KEPT: Final = 32

BESIDE_SAMPLES: Final = 20
"""A run that had got slow more than so many rows before an incident is no clue to it."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class IncidentSettings:
    """When an incident is over."""

    resolve_samples: Annotated[
        int, Field(ge=1, description="Clean samples in a row after which an incident is resolved.")
    ] = 10
    mark_samples: Annotated[
        int,
        Field(ge=1, description="The same for one of severity info, and for what only rare samples tell of."),
    ] = 3


@dataclass(slots=True)
class IncidentBook:
    """The open incidents of one run. Serialises; what is resolved is handed out and forgotten."""

    run: str
    settings: IncidentSettings = field(default_factory=IncidentSettings)
    ordinal: int = 0
    incidents: list[Incident] = field(default_factory=list)
    surroundings: Surroundings = field(default_factory=Surroundings)
    past: Past = field(default_factory=Past)

    @property
    def open(self) -> list[Incident]:
        """The incidents that are not over, oldest first."""
        return list(self.incidents)

    def observe(
        self, sample: Sample, findings: Sequence[Finding], active: Active, lead: int = 0
    ) -> list[Incident]:
        """Take a sample and what the detectors found in it; return the incidents that changed.

        `lead` is the rank of whose samples statistics are made.
        """
        restarted = self.surroundings.note(sample, lead)
        if not findings and not self.incidents:
            return []
        changed: list[Incident] = []
        if restarted:
            self._end_at_restart(sample, changed)
        for finding in findings:
            self._take(sample, finding, active, changed)
        if sample.rank == lead:
            for incident in self.open:
                if incident.kind in KINDS and self._follow(incident, sample, active):
                    _note(changed, incident)
        self._compare_ranks(sample, changed)
        for incident in changed:
            if incident.state == "open" and incident.clean_samples == 0:
                incident.bad_samples = max(1, incident.bad_samples)
            self._tell(incident)
        return changed

    def _take(self, sample: Sample, finding: Finding, active: Active, changed: list[Incident]) -> None:
        """Join a finding to the open incident of its story, or to a new one."""
        incident = self._home_of(finding)
        lasting: list[str] = []
        if incident is not None and begins_anew(incident, finding, self.settings.resolve_samples):
            lasting = [kind for kind in incident.watched if active(kind)]
            self._end_for_another(incident, sample.time)
            _note(changed, incident)
            incident = None
        first = incident is None
        if incident is None:
            incident = self._open(sample, finding)
        gather(incident, sample, finding)
        incident.watched += [kind for kind in lasting if kind not in incident.watched]
        self.past.goes_on(incident, self.surroundings.samples)
        if "again_step" not in incident.evidence:
            incident.evidence |= self.surroundings.clues(incident)
            if first:
                self.surroundings.began(incident)
        _note(changed, incident)

    def _open(self, sample: Sample, finding: Finding) -> Incident:
        """Open a new incident, or once more one that comes again and again."""
        incident = self.past.again(sample, finding, self.surroundings.samples)
        if incident is None:
            incident = opened(self._next_id(), sample, finding)
        self.incidents.append(incident)
        return incident

    def _end_for_another(self, incident: Incident, time: float) -> None:
        """A second event begins: what lasts of the first is told with it."""
        incident.evidence |= {"followed_by": self._id(self.ordinal + 1), "accepted": False}
        self._close(incident, incident.last_bad_step, time)

    def _end_at_restart(self, sample: Sample, changed: list[Incident]) -> None:
        """The run was started again from an earlier step, and not by us: what broke it then is over.

        While a command of ours is not answered, the restart may be its doing.
        """
        incident = self._of_story("stability")
        if incident is None or incident.evidence.get("remedy", {}).get("state") == "pending":
            return
        if incident.attempt < sample.attempt and sample.step <= incident.last_bad_step:
            incident.evidence |= {"restarted_step": sample.step, "accepted": False}
            self._close(incident, incident.last_bad_step, sample.time)
            _note(changed, incident)

    def _compare_ranks(self, sample: Sample, changed: list[Incident]) -> None:
        """Once all ranks were heard of the step that an incident is about, say how many of them see it."""
        incident = self._of_story("stability")
        if incident is None or incident.evidence["step"] != sample.step:
            return
        extent = self.surroundings.extent(incident)
        if extent is not None and extent != incident.evidence.get("extent"):
            incident.evidence |= self.surroundings.clues(incident) | {"extent": extent}
            _note(changed, incident)

    def _tell(self, incident: Incident) -> None:
        evidence = incident.evidence
        reach = BESIDE_SAMPLES * self.surroundings.row_steps
        if beside := [other.kind for other in self.incidents if _beside(other, incident, reach)]:
            evidence["beside"] = beside
        if "again_step" not in evidence:
            evidence["cause"] = cause_of(incident).as_json()
        if climbed_far(incident):
            incident.severity = "critical"
        incident.summary = describe(incident)

    def _home_of(self, finding: Finding) -> Incident | None:
        """The open incident that a finding joins: of learning one of its own kind, else one of its story.

        That a layer is dead and that the evaluation loss rises are two things, each with steps of its own.
        """
        story = KINDS[finding.kind].story
        if story != "learning":
            return self._of_story(story)
        return next((incident for incident in self.incidents if incident.kind == finding.kind), None)

    def _of_story(self, story: Story) -> Incident | None:
        for incident in self.incidents:
            kind = KINDS.get(incident.kind)
            if kind is not None and kind.story == story:
                return incident
        return None

    def _id(self, ordinal: int) -> str:
        return f"{self.run}.{ordinal}"

    def _next_id(self) -> str:
        self.ordinal += 1
        return self._id(self.ordinal)

    def _follow(self, incident: Incident, sample: Sample, active: Active) -> bool:
        """Count the sample as bad or clean; tell whether that changed what there is to say."""
        if not is_new(incident, sample):
            return False
        incident.quiet_samples += 1
        if lasts(incident, active):
            incident.bad_samples += 1
            incident.clean_samples = 0
            if KINDS[incident.kind].story == "stability":
                note_bad(incident, sample, active)
            if sample.attempt == incident.attempt:
                incident.last_bad_step = max(incident.last_bad_step, sample.step)
            worse = higher_peak(incident, sample)
            if worse:
                incident.quiet_samples = 0
            return worse or (incident.severity != "critical" and climbed_far(incident))
        note_calm(incident, sample)
        incident.bad_samples = 0
        incident.clean_samples += 1
        if incident.clean_samples < self._enough(incident):
            return False
        incident.evidence["resolved_step"] = sample.step
        incident.evidence["accepted"] = stayed_away(incident)
        self._close(incident, incident.last_bad_step, sample.time)
        return True

    def _enough(self, incident: Incident) -> int:
        rare = set(WATCHED).isdisjoint(incident.told_by) and KINDS[incident.kind].story == "learning"
        return (
            self.settings.mark_samples
            if rare or incident.severity == "info"
            else self.settings.resolve_samples
        )

    def _close(self, incident: Incident, end_step: int, time: float) -> None:
        incident.state = "resolved"
        incident.end_step = end_step
        incident.resolved_at = time
        self.incidents.remove(incident)
        if incident.kind in KINDS:
            self.past.over(incident, self.surroundings.samples)

    def open_special(
        self,
        kind: str,
        severity: Severity,
        step: int,
        time: float,
        summary: str,
        evidence: dict[str, Any],
        metric: str = "",
    ) -> Incident:
        """Open an incident that no detector makes, or tell the open one of this kind and metric anew."""
        same = (each for each in self.incidents if (each.kind, each.metric) == (kind, metric))
        known = next(same, None)
        if known is not None:
            known.severity, known.summary, known.evidence = severity, summary, evidence
            return known
        incident = Incident(
            id=self._next_id(),
            kind=kind,
            severity=severity,
            metric=metric,
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
        self.surroundings.rolled_back(to_step)
        for each in self.incidents:
            each.bad_samples = each.clean_samples = each.quiet_samples = 0
        incident = self._of_story("stability")
        if incident is None:
            return []
        rollbacks = incident.evidence["rollbacks"]
        if len(rollbacks) < ROLLBACKS_KEPT:
            rollbacks.append({"command": command, "to_step": to_step, "time": time})
        self._tell(incident)
        return [incident]


def _note(changed: list[Incident], incident: Incident) -> None:
    if not any(known is incident for known in changed):
        changed.append(incident)


def _beside(other: Incident, incident: Incident, reach: int) -> bool:
    """Whether a machine's trouble may have to do with an incident: a slow run if it had just got slow."""
    if other is incident or other.kind not in KINDS:
        return False
    story = KINDS[other.kind].story
    return story == "hardware" or (story == "speed" and -1 <= incident.start_step - other.start_step <= reach)
