"""Tells an incident in one sentence that a person can act on."""

from __future__ import annotations

from math import inf, isfinite, isnan
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.types import Incident

NAMES: Final = {wire.LOSS: "loss", wire.GRAD_NORM: "gradient norm"}
UNCHANGED: Final = 1.1
"""A learning rate within this factor is unchanged."""

STILL_UP: Final = 0.5
"""A metric that keeps more than this share of its highest rise has not come back."""

FAR_ABOVE: Final = 2.0
"""Nor has one so many times its baseline, however high its peak was."""


def describe(incident: Incident) -> str:
    """Return what happened, what came first, what the learning rate did, and what was done."""
    parts = [
        _what(incident),
        _lead(incident),
        _rate(incident.evidence),
        _rollbacks(incident.evidence),
        _advice(incident),
        _end(incident),
    ]
    return "; ".join(part for part in parts if part)


def _what(incident: Incident) -> str:
    evidence = incident.evidence
    name = NAMES.get(incident.metric, incident.metric)
    value, baseline, step = evidence["value"], evidence["baseline"], evidence["step"]
    if incident.kind == "non_finite":
        where = f"step {step} on {_ranks(evidence['ranks'])}"
        last = f" (last finite value {number(baseline)})" if isfinite(baseline) else ""
        return f"{name} is {number(value)} at {where}{last}"
    score = f"{evidence['score']:.0f} times the usual noise"
    if incident.kind == "divergence":
        return (
            f"{name} creeps up since step {incident.start_step}: {_change(evidence)} at step {step}, {score}"
        )
    told = f"{name} {_change(evidence)} at step {step}, {score}"
    if incident.peak_step != step and evidence["peak"] > value:
        told += f", peak {number(evidence['peak'])} at step {incident.peak_step}"
    return told


def _change(evidence: dict[str, Any]) -> str:
    return f"{number(evidence['baseline'])} -> {number(evidence['value'])}"


def _ranks(ranks: list[int]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    shown = ", ".join(str(rank) for rank in sorted(ranks)[:8])
    return f"ranks {shown}" + (f" and {len(ranks) - 8} more" if len(ranks) > 8 else "")


def _lead(incident: Incident) -> str:
    """Which of loss and gradient norm moved first, where both did."""
    onsets: dict[str, int] = {}
    for finding in incident.evidence["findings"]:
        if finding["attempt"] == incident.attempt and finding["kind"] != "non_finite":
            onsets.setdefault(finding["metric"], finding["onset_step"])
    other = wire.GRAD_NORM if incident.metric == wire.LOSS else wire.LOSS
    if other not in onsets:
        return ""
    ahead = onsets.get(incident.metric, incident.detected_step) - onsets[other]
    if ahead == 0:
        return f"{NAMES[other]} rose at the same step"
    return f"{NAMES[other]} rose {_steps(abs(ahead))} {'earlier' if ahead > 0 else 'later'}"


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def _rate(evidence: dict[str, Any]) -> str:
    if "lr_jump_step" in evidence:
        return f"learning rate up {evidence['lr_jump_factor']:.3g} times at step {evidence['lr_jump_step']}"
    before, now = evidence.get("lr_before"), evidence.get("lr_now")
    if before is None or now is None or before <= 0.0:
        return ""
    if before / UNCHANGED < now < before * UNCHANGED:
        return "learning rate unchanged"
    return f"learning rate {number(before)} -> {number(now)}"


def _rollbacks(evidence: dict[str, Any]) -> str:
    rollbacks = evidence["rollbacks"]
    if not rollbacks:
        return ""
    times = "" if len(rollbacks) == 1 else f" ({len(rollbacks)} times)"
    return f"rolled back to step {rollbacks[-1]['to_step']}{times}"


def _advice(incident: Incident) -> str:
    """What the policy would do where people decide, or why it can do nothing."""
    evidence = incident.evidence
    remedy = evidence.get("remedy", {})
    if remedy.get("state") == "advised":
        would = "would" if incident.state == "open" else "would have"
        goes_back, stops = ("go back", "stop") if incident.state == "open" else ("gone back", "stopped")
        act = stops if remedy["kind"] == "stop" else f"{goes_back} to step {remedy['to_step']}"
        return f"{would} {act}: rollback is 'advise'"
    return "no healthy snapshot from before it to go back to" if "no_rollback" in evidence else ""


def _end(incident: Incident) -> str:
    if incident.state == "open":
        return ""
    evidence = incident.evidence
    if evidence.get("accepted"):
        lasted = f" for {_samples(evidence['held_samples'])}" if "held_samples" in evidence else ""
        return f"it stayed at {number(evidence['settled'])}{lasted}, which is now taken as normal"
    step = evidence.get("resolved_step")
    return "over" if step is None else f"back to normal by step {step}"


def _samples(count: int) -> str:
    return f"{count} sample" if count == 1 else f"{count} samples"


def is_accepted(baseline: float, peak: float, settled: float) -> bool:
    """Whether a metric that is calm again stayed up, rather than came back to where it was before.

    `settled` is the lowest of its calm values.

    >>> is_accepted(baseline=0.06, peak=5.1, settled=4.8), is_accepted(baseline=0.06, peak=5.1, settled=0.07)
    (True, False)
    """
    if not (isfinite(baseline) and isfinite(peak) and isfinite(settled)):
        return False
    keeps_its_rise = settled - baseline > STILL_UP * max(0.0, peak - baseline)
    return keeps_its_rise or settled > FAR_ABOVE * baseline > 0.0


def number(value: float) -> str:
    """A value for people: three digits or more, and words for the non-finite."""
    if isnan(value):
        return "NaN"
    if value in (inf, -inf):
        return "infinite" if value > 0 else "minus infinite"
    return f"{value:.2f}" if 1.0 <= abs(value) < 1000.0 else f"{value:.3g}"
