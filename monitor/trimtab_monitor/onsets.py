"""Which metric of an incident moved first."""

from __future__ import annotations

from trimtab import wire
from trimtab_monitor.types import Incident


def onsets_of(incident: Incident) -> dict[str, int]:
    """The step at which each metric first left its usual noise, in the attempt in which it began.

    A value that is not finite is no rise: it dates nothing.
    """
    onsets: dict[str, int] = {}
    for told in incident.evidence["findings"]:
        if told["attempt"] == incident.attempt and told["kind"] != "non_finite":
            step = told["onset_step"]
            onsets[told["metric"]] = min(step, onsets.get(told["metric"], step))
    return onsets


def gradient_lead(incident: Incident) -> int | None:
    """How many steps the gradient norm rose before the loss went wrong; None if it did not rise.

    Nor did one lead that was down again before.
    """
    onsets = onsets_of(incident)
    if wire.GRAD_NORM not in onsets or incident.evidence.get("grad_norm_came_back"):
        return None
    if wire.LOSS in onsets:
        return onsets[wire.LOSS] - onsets[wire.GRAD_NORM]
    return incident.evidence["step"] - onsets[wire.GRAD_NORM] if incident.metric == wire.LOSS else None
