"""Tells an incident in one sentence that a person can act on."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.kind_text import named, what
from trimtab_monitor.onsets import gradient_lead
from trimtab_monitor.types import Incident
from trimtab_monitor.wording import number, plural, step_text

UNCHANGED: Final = 1.1
"""A learning rate within this factor is unchanged."""

STILL_UP: Final = 0.5
"""A metric that keeps more than this share of its usual rise while bad has not come back."""

FAR_ABOVE: Final = 2.0
"""Nor has one so many times its baseline, however high its peak was."""


def describe(incident: Incident) -> str:
    """Return what happened, what came first, what the rate did, where, why, and what was done."""
    parts = [
        what(incident),
        _again(incident.evidence),
        _climb(incident.evidence),
        _lead(incident),
        _rate(incident.evidence),
        _extent(incident),
        _cause(incident),
        _rollbacks(incident.evidence),
        _advice(incident),
        _end(incident),
    ]
    return "; ".join(part for part in parts if part)


def _again(evidence: dict[str, Any]) -> str:
    """That it came back, however often: it is told in one incident."""
    if "again_step" not in evidence:
        return ""
    times, since = plural(evidence["times"], "time"), step_text(evidence["since"])
    return f"again at step {step_text(evidence['again_step'])}, {times} since step {since}"


def _climb(evidence: dict[str, Any]) -> str:
    """From where it rose, where it was each time taken for normal."""
    if "climbed_from" not in evidence:
        return ""
    return f"up from {number(evidence['climbed_from'])} at step {step_text(evidence['climbed_since'])} in all"


def _lead(incident: Incident) -> str:
    """Which of loss and gradient norm moved first, where both did."""
    if incident.metric not in (wire.LOSS, wire.GRAD_NORM):
        return ""
    lead = gradient_lead(incident)
    if lead is None:
        return ""
    other = wire.GRAD_NORM if incident.metric == wire.LOSS else wire.LOSS
    ahead = lead if other == wire.GRAD_NORM else -lead
    if ahead == 0:
        return f"{named(other)} rose at the same step"
    return f"{named(other)} rose {plural(abs(ahead), 'step')} {'earlier' if ahead > 0 else 'later'}"


def _rate(evidence: dict[str, Any]) -> str:
    """What the learning rate did, unless it is told as the cause."""
    if "lr_jump_step" in evidence:
        if evidence.get("cause", {}).get("class") == "learning_rate":
            return ""
        step = step_text(evidence["lr_jump_step"])
        return f"learning rate up {evidence['lr_jump_factor']:.3g} times at step {step}"
    before, now = evidence.get("lr_before"), evidence.get("lr_now")
    if before is None or now is None or before <= 0.0:
        return ""
    if before / UNCHANGED < now < before * UNCHANGED:
        return "learning rate unchanged"
    return f"learning rate {number(before)} -> {number(now)}"


def _extent(incident: Incident) -> str:
    """How many ranks see it; of a value that is not finite that is told before."""
    extent, known = incident.evidence.get("extent"), incident.evidence.get("ranks_known", 1)
    if extent is None or incident.kind == "non_finite":
        return ""
    return {"all": f"all {known} ranks", "one": f"rank 0 only, of {known}", "some": f"some of {known} ranks"}[
        extent
    ]


def _cause(incident: Incident) -> str:
    """The likely cause and what speaks for it; that it is unknown only where someone is told."""
    cause = incident.evidence.get("cause")
    if cause is None:
        return ""
    if cause["class"] == "unknown":
        return "" if incident.severity == "info" else "cause unknown"
    because = ", ".join(cause["because"])
    return f"{cause['confidence']} cause: {cause['class'].replace('_', ' ')} ({because})"


def _rollbacks(evidence: dict[str, Any]) -> str:
    rollbacks = evidence["rollbacks"]
    if not rollbacks:
        return ""
    times = "" if len(rollbacks) == 1 else f" ({len(rollbacks)} times)"
    return f"rolled back to step {step_text(rollbacks[-1]['to_step'])}{times}"


def _advice(incident: Incident) -> str:
    """What the policy would do where people decide, or why it can do nothing."""
    evidence = incident.evidence
    remedy = evidence.get("remedy", {})
    if remedy.get("state") == "advised":
        would = "would" if incident.state == "open" else "would have"
        goes_back, stops = ("go back", "stop") if incident.state == "open" else ("gone back", "stopped")
        act = stops if remedy["kind"] == "stop" else f"{goes_back} to step {step_text(remedy['to_step'])}"
        return f"{would} {act}: rollback is 'advise'"
    return "no healthy snapshot from before it to go back to" if "no_rollback" in evidence else ""


def _end(incident: Incident) -> str:
    if incident.state == "open":
        return ""
    evidence = incident.evidence
    if "followed_by" in evidence:
        return "told on as the next incident"
    if evidence.get("accepted"):
        lasted = f" for {plural(evidence['held_samples'], 'sample')}" if "held_samples" in evidence else ""
        return f"it stayed at {number(evidence['settled'])}{lasted}, which is now taken as normal"
    if "restarted_step" in evidence:
        return f"the run was started again at step {step_text(evidence['restarted_step'])}"
    step = evidence.get("resolved_step")
    return "over" if step is None else f"back to normal by step {step_text(step)}"


def is_accepted(baseline: float, bad: float, settled: float) -> bool:
    """Whether a metric that is calm again stayed up, rather than came back to where it was before.

    `bad` is what it usually was while it was bad, `settled` what it usually is since it is calm.

    >>> is_accepted(baseline=0.06, bad=5.1, settled=4.8), is_accepted(baseline=0.06, bad=5.1, settled=0.07)
    (True, False)
    """
    if not (isfinite(baseline) and isfinite(bad) and isfinite(settled)):
        return False
    if bad < baseline:
        return baseline - settled > STILL_UP * (baseline - bad)
    keeps_its_rise = settled - baseline > STILL_UP * (bad - baseline)
    return keeps_its_rise or settled > FAR_ABOVE * baseline > 0.0
