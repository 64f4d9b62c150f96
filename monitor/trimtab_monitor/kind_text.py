"""What was seen, kind by kind: the first part of an incident's sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.types import Incident
from trimtab_monitor.wording import LISTED, listed, number, plural, step_text

NAMES: Final = {
    wire.LOSS: "loss",
    wire.GRAD_NORM: "gradient norm",
    wire.EVAL_LOSS: "evaluation loss",
    wire.LOSS_SCALE: "loss scale",
    wire.STEP_SECONDS: "seconds a step",
}

UNITS: Final[Mapping[str, Callable[[float], str]]] = {
    "power_w": lambda value: f"{value:.0f} W",
    "util": lambda value: f"{100 * value:.0f} % used",
    "temp_c": lambda value: f"{value:.0f} °C",
}

FAULTS: Final = {
    "idle": "is idle while the others work",
    "throttled": "is throttled, hotter than the others and drawing less power",
    "capped": "draws less power than the others on the same work",
    "hot": "is too hot",
}

MANY_TIMES: Final = 10.0
"""So many times as much is told in times, less in per cent."""

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
    alone = evidence["ranks"] == [0] and "ranks_known" not in evidence
    where = _step(incident) if alone else f"{_step(incident)} on {_ranks(evidence)}"
    last = f" (last finite value {number(baseline)})" if isfinite(baseline) else ""
    masked = "; the step was masked, and the weights are unharmed" if _seen(incident, "masked") else ""
    return f"{named(incident.metric)} is {number(evidence['value'])} {where}{last}{masked}"


def _ranks(evidence: Mapping[str, Any]) -> str:
    ranks, known, extent = evidence["ranks"], evidence.get("ranks_known", 1), evidence.get("extent")
    if extent == "all":
        return f"all {known} ranks"
    if extent == "one":
        return f"rank {ranks[0]} only, of {ranks_heard(ranks[0], known)}"
    return f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {listed(ranks)}"


def ranks_heard(rank: int, known: int) -> str:
    """How many ranks there are; where only some of them report, the number of a rank may be higher.

    >>> ranks_heard(3, 8), ranks_heard(3, 2)
    ('8', 'the 2 that report')
    """
    return f"{known}" if rank < known else f"the {known} that report"


def _creeps(incident: Incident) -> str:
    name = named(incident.metric)
    return f"{name} creeps up {_since(incident)}: {change(incident)} {_step(incident)}{_noise(incident)}"


def _settled(incident: Incident) -> str:
    value, baseline = incident.evidence["value"], incident.evidence["baseline"]
    if not isfinite(baseline):
        return _moved(incident)
    rise = value - baseline
    if value > MANY_TIMES * baseline > 0.0:
        share = f"{_times(value / baseline)} times"
    else:
        share = f"{100 * rise / baseline:.0f} % above" if baseline > 0.0 else f"{number(rise)} above"
    return (
        f"{named(incident.metric)} settled at {number(value)}, {share} {number(baseline)}, {_since(incident)}"
    )


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio < LARGEST_SCORE else f"{ratio:.2g}"


def _exploding(incident: Incident) -> str:
    return _moved(incident) + _others(incident, "metric", "layer")


def _dead(incident: Incident) -> str:
    value, baseline = incident.evidence["value"], incident.evidence["baseline"]
    was = f" (it was {number(baseline)})" if isfinite(baseline) else ""
    told = f"is {number(value)}" if value else "is zero"
    layers = _others(incident, "metric", "layer")
    return f"{named(incident.metric)} {told} {_since(incident)}{was}{layers}: it learns next to nothing"


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
    told = f"{named(incident.metric)} has stopped falling {_since(incident)}"
    now = f"{number(incident.evidence['value'])} at step {step_text(incident.evidence['step'])}"
    fall, before = _seen(incident, "fall"), _seen(incident, "fall_before")
    if fall is None or before is None:
        return f"{told}: {now}"
    return f"{told}: {now}, down {number(max(0.0, fall))} after {number(before)} in the time before"


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
    compared, since = _seen(incident, "compared"), _seen(incident, "since_step")
    who = _slow_ranks(incident)
    others = "the other ranks" if compared is None else f"the median of {compared} ranks"
    factor = _seen(incident, "factor") or (value / baseline if baseline > 0.0 else None)
    slow = f"longer than {others}" if factor is None else f"{factor:.2g} times as long as {others}"
    told = f"{who} {slow}, since step {step_text(incident.start_step if since is None else since)}"
    return f"{told}: {number(value)} s a step, not {number(baseline)} s"


def _slow_ranks(incident: Incident) -> str:
    """The ranks that all findings tell of, the first few by name, and what they do."""
    rank = _seen(incident, "rank")
    told = {each["rank"] for each in incident.evidence["findings"] if each["kind"] == incident.kind}
    slow = {incident.evidence["ranks"][0] if rank is None else rank, *(_seen(incident, "slow_ranks") or ())}
    ranks = sorted(slow | told if len(told) > 1 else slow)
    more = max(len(ranks), _seen(incident, "slow") or 0) - len(ranks[:LISTED])
    if len(ranks) + more == 1:
        return f"rank {ranks[0]} takes"
    shown = ", ".join(str(each) for each in ranks[:LISTED])
    return f"ranks {shown}{f' and {more} more' if more else ''} take up to"


def _faulty(incident: Incident) -> str:
    device, host = _seen(incident, "device") or "a device", _seen(incident, "host")
    where = f"{device} on {host}" if host else device
    fault = FAULTS.get(str(_seen(incident, "fault")), "is not as the others")
    gauges = [
        f"{unit(_seen(incident, name))} (others {unit(_seen(incident, f'{name}_of_others'))})"
        for name, unit in UNITS.items()
        if _seen(incident, name) is not None and _seen(incident, f"{name}_of_others") is not None
    ]
    told = f": {', '.join(gauges)}" if gauges else ""
    return f"{where} {fault}{_others(incident, 'device', 'device')}, {_since(incident)}{told}"


def _others(incident: Incident, key: str, unit: str) -> str:
    """How many more layers or devices have the same trouble."""
    told = {each.get(key) for each in incident.evidence["findings"] if each["kind"] == incident.kind}
    others = max(len(told), _seen(incident, f"{unit}s") or 0) - 1
    return f", and {plural(others, f'other {unit}')}" if others > 0 else ""


_BY_KIND: Final[Mapping[str, Callable[[Incident], str]]] = {
    "non_finite": _non_finite,
    "divergence": _creeps,
    "level_shift": _settled,
    "exploding_layer": _exploding,
    "dead_layer": _dead,
    "vanishing_gradients": _vanishing,
    "loss_scale_collapse": _scale,
    "plateau": _plateau,
    "overfitting": _overfitting,
    "throughput_drop": _slower,
    "straggler": _straggler,
    "faulty_device": _faulty,
}
