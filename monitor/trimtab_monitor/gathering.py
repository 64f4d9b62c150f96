"""What an incident gathers: its findings, how grave they are together, its peak, and how it calmed down."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

from trimtab_monitor.detectors.non_finite import WATCHED
from trimtab_monitor.incident_text import is_accepted
from trimtab_monitor.kinds import KINDS
from trimtab_monitor.severity import joint_severity
from trimtab_monitor.types import Finding, Incident, Sample

FINDINGS_KEPT: Final = 32
RANKS_KEPT: Final = 64
METRICS_KEPT: Final = 16

Active = Callable[[str], bool]
"""Tells whether what the detector of a kind found is still so, as `DetectorSet.active` does."""

WITH_MEMBERS: Final = frozenset(("non_finite", "exploding_layer"))
"""What is told of several ranks or layers, one by one: NaN that spreads, or comes and goes, is one event."""

MUCH_WORSE: Final = 2.0
"""So many times as far from what is usual."""

MUCH_LATER_SAMPLES: Final = 50
"""What is found so many samples after an incident last got worse is likely an event of its own."""


def opened(incident_id: str, sample: Sample, finding: Finding) -> Incident:
    """Return an incident that holds nothing yet but where it began."""
    return Incident(
        id=incident_id,
        kind=finding.kind,
        severity="info",
        metric=finding.metric,
        start_step=finding.onset_step,
        detected_step=sample.step,
        peak_step=finding.step,
        end_step=None,
        state="open",
        summary="",
        evidence={"detectors": [], "ranks": [], "findings": [], "rollbacks": []},
        attempt=sample.attempt,
        opened_at=sample.time,
        last_bad_step=sample.step,
    )


def gather(incident: Incident, sample: Sample, finding: Finding) -> None:
    """Join a finding of the incident's own story to it."""
    evidence = incident.evidence
    leads = not evidence["findings"] or _outranks(finding, incident)
    _await_end_of(incident, sample, finding)
    _keep(evidence["detectors"], finding.kind, len(KINDS))
    _keep(evidence["ranks"], finding.evidence.get("rank", sample.rank), RANKS_KEPT)
    if len(evidence["findings"]) < FINDINGS_KEPT:
        evidence["findings"].append(_told(finding, sample))
    if sample.attempt == incident.attempt:
        incident.start_step = min(incident.start_step, finding.onset_step)
    alarmed = {told["metric"] for told in evidence["findings"] if told["severity"] != "info"}
    incident.severity = joint_severity(incident.kind, incident.severity, finding.severity, alarmed)
    if leads:
        _lead(incident, finding, sample.attempt)
    evidence["delay_steps"] = incident.detected_step - incident.start_step


def _keep(known: list[Any], item: Any, most: int) -> None:
    if item not in known and len(known) < most:
        known.append(item)


def _await_end_of(incident: Incident, sample: Sample, finding: Finding) -> None:
    """Note what must come back for the incident to be over: a mark beside a graver trouble need not."""
    told_by = incident.told_by
    own = finding.metric in sample.values
    stability = KINDS[finding.kind].story == "stability"
    for metric in ((finding.metric,) if own else ()) + (WATCHED if stability or not own else ()):
        _keep(told_by, metric, METRICS_KEPT)
    if finding.severity == "info" and incident.severity != "info" and not incident.evidence["rollbacks"]:
        if finding.kind in incident.watched:
            incident.watched.remove(finding.kind)
        return
    if finding.severity != "info" and incident.severity == "info":
        incident.watched.clear()
    _keep(incident.watched, finding.kind, len(KINDS))
    incident.calm[finding.kind] = 0
    incident.clean_samples = incident.quiet_samples = 0


def _outranks(finding: Finding, incident: Incident) -> bool:
    """The gravest kind tells the story; of one kind the worst value, until the run is rolled back.

    A mark never tells the story of something graver.
    """
    evidence = incident.evidence
    ours, theirs = finding.severity != "info", incident.led_by != "info"
    if ours != theirs:
        return ours
    rank, known = KINDS[finding.kind].rank, KINDS[incident.kind].rank
    if rank != known:
        return rank > known
    if finding.metric != incident.metric:
        return not evidence["rollbacks"] and finding.score > evidence["score"]
    return not evidence["rollbacks"] and _is_worse(finding.value, evidence["value"], evidence["baseline"])


def _is_worse(value: float, known: float, baseline: float) -> bool:
    """Whether a value is further away than the known one: below it, where that is below its baseline."""
    return value < known if known < baseline else value > known


def _lead(incident: Incident, finding: Finding, attempt: int) -> None:
    """The incident is told by its gravest finding; its steps stay those of the attempt in which it began."""
    evidence = incident.evidence
    same = incident.metric == finding.metric and "peak" in evidence
    if not same:
        incident.bad.clear()
        incident.calm_now.clear()
        evidence.pop("settled", None)
    if (
        not same
        or not isfinite(finding.value)
        or _is_worse(finding.value, evidence["peak"], finding.expected)
    ):
        evidence["peak"] = finding.value
        if attempt == incident.attempt:
            incident.peak_step = finding.step
    incident.kind, incident.metric = finding.kind, finding.metric
    incident.led_by = finding.severity
    evidence.pop("extent", None)
    evidence |= {
        "value": finding.value,
        "baseline": finding.expected,
        "score": finding.score,
        "step": finding.step,
        "seen": dict(finding.evidence),
    }


def higher_peak(incident: Incident, sample: Sample) -> bool:
    """Take the sample's value as the peak, if it is further off than any before it."""
    evidence = incident.evidence
    value, peak = sample.values.get(incident.metric), evidence["peak"]
    if value is None or sample.attempt != incident.attempt or not isfinite(peak):
        return False
    if isfinite(value) and not _is_worse(value, peak, evidence["baseline"]):
        return False
    evidence["peak"] = value
    incident.peak_step = sample.step
    return True


def note_bad(incident: Incident, sample: Sample, active: Callable[[str], bool]) -> None:
    """Remember the value of the metric while it is bad, be others so or not."""
    value = sample.values.get(incident.metric)
    own = {told["kind"] for told in incident.evidence["findings"] if told["metric"] == incident.metric}
    if value is not None and any(active(kind) for kind in own):
        incident.bad.add(value)


def note_calm(incident: Incident, sample: Sample) -> None:
    """Remember how long it was bad, and the usual value of the metric since: noise alone must not tell."""
    evidence = incident.evidence
    if incident.clean_samples == 0:
        evidence.pop("settled", None)
        incident.calm_now.clear()
    if incident.bad_samples:
        evidence["held_samples"] = incident.bad_samples
    value = sample.values.get(incident.metric)
    if value is not None:
        incident.calm_now.add(value)
        settled = incident.calm_now.middle
        if settled is not None:
            evidence["settled"] = settled


def stayed_away(incident: Incident) -> bool:
    """Whether the metric is calm again, but not back where it was.

    What it usually was while bad counts, not its peak: of a level that noise lifts now and then, hardly a
    value comes near the highest.
    """
    evidence = incident.evidence
    if "settled" not in evidence:
        return False
    while_bad = incident.bad.middle if isfinite(evidence["peak"]) else None
    bad = evidence["peak"] if while_bad is None else while_bad
    return is_accepted(evidence["baseline"], bad, evidence["settled"])


def begins_anew(incident: Incident, finding: Finding, resolve_samples: int) -> bool:
    """Whether a finding tells of a second event, though the first is not over for something else lasts.

    A rise that began anew is one if the incident had got no worse for twice as long as resolves it, or if it
    is much worse than the first, and going back has not been tried; another kind of trouble after
    `MUCH_LATER_SAMPLES`. What has members must have been over on all of them.
    """
    if finding.severity == "info" or KINDS[finding.kind].story != "stability":
        return False
    before = [told["onset_step"] for told in incident.evidence["findings"] if told["kind"] == finding.kind]
    if finding.onset_step in before:
        return False
    if finding.evidence.get("again"):
        return True
    if not before:
        return incident.quiet_samples >= MUCH_LATER_SAMPLES
    if finding.kind in WITH_MEMBERS:
        return incident.calm.get(finding.kind, 0) >= resolve_samples
    return incident.quiet_samples >= 2 * resolve_samples or _is_much_worse(incident, finding)


def _is_much_worse(incident: Incident, finding: Finding) -> bool:
    evidence = incident.evidence
    scores = [told["score"] for told in evidence["findings"] if told["kind"] == finding.kind]
    return not evidence["rollbacks"] and finding.score >= MUCH_WORSE * max(scores)


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
        "rank": finding.evidence.get("rank", sample.rank),
    } | {name: finding.evidence[name] for name in ("host", "device") if name in finding.evidence}


def lasts(incident: Incident, active: Active) -> bool:
    """Whether anything that is watched is still so; counts for how long each was not."""
    still_so = False
    for kind in incident.watched:
        still = active(kind)
        incident.calm[kind] = 0 if still else incident.calm.get(kind, 0) + 1
        still_so = still_so or still
    return still_so


def is_new(incident: Incident, sample: Sample) -> bool:
    """Count each step once, however many samples it comes in, and only where something was measured."""
    counted = incident.counted
    if counted and counted[1] == sample.step and counted[0] == sample.attempt:
        return False
    if sample.values.keys().isdisjoint(incident.told_by):
        return False
    incident.counted = [sample.attempt, sample.step]
    return True
