"""What was seen, kind by kind: the first part of an incident's sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.types import Incident
from trimtab_monitor.wording import listed, number, plural, step_text

NAMES: Final = {
    wire.LOSS: "loss",
    wire.GRAD_NORM: "gradient norm",
    wire.EVAL_LOSS: "evaluation loss",
    wire.LOSS_SCALE: "loss scale",
    wire.STEP_SECONDS: "seconds a step",
    "power_w": "power in W",
    "util": "utilisation",
    "temp_c": "temperature in °C",
    "mem_used_bytes": "memory in bytes",
}

LARGEST_SCORE: Final = 1e4
"""Of more than so many times the usual noise the figure itself says nothing."""


def what(incident: Incident) -> str:
    """Say what was seen, and where. What a detector did not tell is left out."""
    return _BY_KIND.get(incident.kind, _moved)(incident)


def named(metric: str) -> str:
    """A metric as people call it.

    >>> named("loss"), named("grad_norm/layers.3"), named("reward")
    ('loss', 'gradient norm of layers.3', 'reward')
    """
    base, slash, layer = metric.partition("/")
    known = NAMES.get(base, base)
    return f"{known} of {layer}" if slash and base in NAMES else NAMES.get(metric, metric)


def change(incident: Incident) -> str:
    """From what to what, as far as it is known."""
    value, baseline = incident.evidence["value"], incident.evidence["baseline"]
    return f"{number(baseline)} -> {number(value)}" if isfinite(baseline) else f"is {number(value)}"


def _noise(incident: Incident) -> str:
    score = incident.evidence.get("score", 0.0)
    if not score >= 1.0:
        return ""
    return (
        ", far outside its usual noise" if score > LARGEST_SCORE else f", {score:,.0f} times the usual noise"
    )


def _step(incident: Incident) -> str:
    return f"at step {step_text(incident.evidence['step'])}"


def _since(incident: Incident) -> str:
    return f"since step {step_text(incident.start_step)}"


def _seen(incident: Incident, name: str) -> Any:
    return incident.evidence.get("seen", {}).get(name)


def _moved(incident: Incident) -> str:
    """A metric that left its usual noise within a few steps."""
    evidence = incident.evidence
    told = f"{named(incident.metric)} {change(incident)} {_step(incident)}{_noise(incident)}"
    if incident.peak_step != evidence["step"] and evidence["peak"] > evidence["value"]:
        told += f", peak {number(evidence['peak'])} at step {step_text(incident.peak_step)}"
    return told


def _non_finite(incident: Incident) -> str:
    evidence = incident.evidence
    baseline = evidence["baseline"]
    where = f"{_step(incident)} on {_ranks(evidence)}"
    last = f" (last finite value {number(baseline)})" if isfinite(baseline) else ""
    return f"{named(incident.metric)} is {number(evidence['value'])} {where}{last}"


def _ranks(evidence: Mapping[str, Any]) -> str:
    ranks, known, extent = evidence["ranks"], evidence.get("ranks_known", 1), evidence.get("extent")
    if extent == "all":
        return f"all {known} ranks"
    if extent == "one":
        return f"rank {ranks[0]} only, of {known}"
    return f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {listed(ranks)}"


def _creeps(incident: Incident) -> str:
    name = named(incident.metric)
    return f"{name} creeps up {_since(incident)}: {change(incident)} {_step(incident)}{_noise(incident)}"


def _settled(incident: Incident) -> str:
    value, baseline = incident.evidence["value"], incident.evidence["baseline"]
    if not isfinite(baseline):
        return _moved(incident)
    rise = value - baseline
    share = f"{100 * rise / baseline:.0f} % above" if baseline > 0.0 else f"{number(rise)} above"
    return (
        f"{named(incident.metric)} settled at {number(value)}, {share} {number(baseline)}, {_since(incident)}"
    )


def _dead(incident: Incident) -> str:
    value, baseline = incident.evidence["value"], incident.evidence["baseline"]
    was = f" (it was {number(baseline)})" if isfinite(baseline) else ""
    if value == 0.0:
        return f"{named(incident.metric)} is zero {_since(incident)}{was}: it learns nothing"
    return f"{named(incident.metric)} is {number(value)} {_since(incident)}{was}: it learns next to nothing"


def _vanishing(incident: Incident) -> str:
    return (
        f"gradients vanish {_since(incident)}: {named(incident.metric)} {change(incident)} {_step(incident)}"
    )


def _scale(incident: Incident) -> str:
    told = f"loss scale {change(incident)} {_step(incident)}"
    halvings, samples = _seen(incident, "halvings"), _seen(incident, "samples")
    if halvings is not None and samples is not None:
        told += f", halved {plural(round(halvings), 'time')} within {plural(samples, 'sample')}"
    return told + ": gradients overflow in half precision"


def _plateau(incident: Incident) -> str:
    evidence = incident.evidence
    best = _seen(incident, "best")
    best = evidence["baseline"] if best is None else best
    told = f"{named(incident.metric)} no longer improves {_since(incident)}: {number(evidence['value'])} now"
    return told + (f", best {number(best)}" if isfinite(best) else "")


def _overfitting(incident: Incident) -> str:
    told = f"{named(incident.metric)} rises while training loss falls: {change(incident)} {_step(incident)}"
    best = _seen(incident, "best_step")
    return told + (f"; best was at step {step_text(best)}" if best is not None else "")


def _slower(incident: Incident) -> str:
    value, baseline = incident.evidence["value"], incident.evidence["baseline"]
    if not baseline > 0.0 or not value > 0.0:
        return _moved(incident)
    if incident.metric == wire.STEP_SECONDS:
        told = f"a step takes {number(value)} s, {value / baseline:.2g} times the usual {number(baseline)} s"
        return f"{told}, {_since(incident)}"
    told = f"{100 * (1 - value / baseline):.0f} % below the usual {number(baseline)}"
    return f"{named(incident.metric)} {number(value)}, {told}, {_since(incident)}"


def _straggler(incident: Incident) -> str:
    evidence = incident.evidence
    value, baseline = evidence["value"], evidence["baseline"]
    rank = _seen(incident, "rank")
    who = f"rank {evidence['ranks'][0] if rank is None else rank}"
    host = _seen(incident, "host")
    who += f" on {host}" if host else ""
    compared = _seen(incident, "compared") or _seen(incident, "ranks")
    others = f"the median of {compared} ranks" if isinstance(compared, int) else "the other ranks"
    factor = _seen(incident, "factor") or (value / baseline if baseline > 0.0 else None)
    slow = f"{factor:.2g} times as long as {others}" if factor is not None else f"longer than {others}"
    return f"{who} takes {slow}, {_since(incident)}: {number(value)} s a step, not {number(baseline)} s"


def _faulty(incident: Incident) -> str:
    evidence = incident.evidence
    device = _seen(incident, "uuid") or _seen(incident, "device") or "a device"
    host = _seen(incident, "host")
    where = f"{device} on {host}" if host else str(device)
    odd = _seen(incident, "what")
    if isinstance(odd, str):
        return f"{where} is not as the others: {odd}, {_since(incident)}"
    told = f"{named(incident.metric)} is {number(evidence['value'])}"
    return (
        f"{where} is not as the others: {told}, they have {number(evidence['baseline'])}, {_since(incident)}"
    )


_BY_KIND: Final[Mapping[str, Callable[[Incident], str]]] = {
    "non_finite": _non_finite,
    "divergence": _creeps,
    "level_shift": _settled,
    "dead_layer": _dead,
    "vanishing_gradients": _vanishing,
    "loss_scale_collapse": _scale,
    "plateau": _plateau,
    "overfitting": _overfitting,
    "throughput_drop": _slower,
    "straggler": _straggler,
    "faulty_device": _faulty,
}
