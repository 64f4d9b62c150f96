"""What speaks for a cause: one rule for each thing that an expert would look at.

The loss alone tells little: metrics such as `lr`, `grad_norm`, `tokens`, `loss_scale` and `step_seconds` do.
A weight of 1 is a hint, 2 is evidence, 3 outweighs the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, Literal

from trimtab import wire
from trimtab_monitor.kind_text import ranks_heard
from trimtab_monitor.kinds import KINDS
from trimtab_monitor.onsets import gradient_lead
from trimtab_monitor.types import Incident
from trimtab_monitor.wording import number, plural, step_text

CauseClass = Literal["data", "learning_rate", "numeric", "hardware", "unknown"]

LATE_STEPS: Final = 2
"""An onset is dated up to so many steps too early, when the noise just before was high."""

SAME_SHARE: Final = 0.01
"""Batches that differ by less than this share are of one size."""

UNUSUAL: Final = 1.5
"""What strays less than so many times as far as it did before is as usual."""

RISING: Final = 1.02
"""A learning rate that rose by less than this factor over a few samples was constant."""

STEADY_SAMPLES: Final = 3
"""A gradient norm that grows so many samples in a row is no single bad batch."""

HUGE_NORM: Final = 1e4
HUGE_GROWTH: Final = 1e3
"""A gradient norm above this, or so many times its usual one, is about to overflow."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks for a class, in a phrase."""

    kind: CauseClass
    weight: int
    phrase: str


Rule = Callable[[Incident], Reason | None]


# --- learning rate ---


def _rate_jumped(incident: Incident) -> Reason | None:
    evidence = incident.evidence
    step = evidence.get("lr_jump_step")
    if not _stability(incident) or step is None or step > incident.start_step + LATE_STEPS:
        return None
    return Reason(
        "learning_rate", 3, f"it rose {evidence['lr_jump_factor']:.3g} times at step {step_text(step)}"
    )


def _rate_was_rising(incident: Incident) -> Reason | None:
    evidence = incident.evidence
    before, now = evidence.get("lr_before"), evidence.get("lr_now")
    if not _stability(incident) or before is None or now is None or "lr_jump_step" in evidence:
        return None
    if evidence.get("lr_varies"):
        return None
    return Reason("learning_rate", 1, "it was still rising") if now > RISING * before > 0.0 else None


def _gradient_grew_first(incident: Incident) -> Reason | None:
    """A gradient norm that grows over several steps before the loss moves is an instability, not a batch."""
    if not _stability(incident) or incident.kind == "loss_scale_collapse":
        return None
    ahead = gradient_lead(incident)
    grew = incident.evidence.get("grad_norm_grew_steps", 0)
    if ahead is not None and _leads(round(ahead / _row_steps(incident)), grew):
        return Reason("learning_rate", 1, f"gradient norm rose {plural(ahead, 'step')} before the loss")
    if grew >= STEADY_SAMPLES and incident.metric == wire.GRAD_NORM:
        return Reason("learning_rate", 1, f"gradient norm grew {plural(grew, 'sample')} in a row")
    return None


def _leads(samples: int, grew: int) -> bool:
    """Whether so many samples ahead are more than one batch that both saw."""
    return samples >= 2 or (samples == 1 and grew >= STEADY_SAMPLES)


def _bad_again_with_other_batches(incident: Incident) -> Reason | None:
    rollbacks = len(incident.evidence["rollbacks"])
    if rollbacks < 2 or not _found_later(incident):
        return None
    return Reason("learning_rate", 1, f"bad again after {rollbacks} rollbacks, with other batches each time")


# --- data ---


def _same_step_again(incident: Incident) -> Reason | None:
    """A run that was started again from a checkpoint reads the same batches at the same steps."""
    evidence = incident.evidence
    if not _stability(incident):
        return None
    if "bad_before" in evidence:
        before = evidence["bad_before"]
        told = f"step {step_text(before['step'])} was bad in attempt {before['attempt']} too"
        return Reason("data", 3, told)
    again = [told for told in _found_later(incident) if abs(told["onset_step"] - incident.start_step) <= 1]
    if evidence["rollbacks"] or not again:
        return None
    told = f"step {step_text(incident.start_step)} is bad again in attempt {again[0]['attempt']}"
    return Reason("data", 3, told)


def _one_bad_batch(incident: Incident) -> Reason | None:
    """One step, and back at once: told when it is over.

    Where not every step is logged, a bad row may stand for many bad steps.
    """
    evidence = incident.evidence
    alone = incident.last_bad_step == incident.start_step and evidence.get("held_samples", 1) == 1
    over = incident.state == "resolved" and not evidence.get("accepted") and _ended_by_itself(evidence)
    told = incident.metric == wire.LOSS and incident.kind != "non_finite" and isfinite(evidence["value"])
    if not (_stability(incident) and over and alone and told) or evidence["rollbacks"]:
        return None
    if _row_steps(incident) > 1:
        return Reason("data", 1, "one row only, and back at the next")
    if gradient_lead(incident) == 0:
        return Reason("data", 2, "one step only, gradient norm at the same step, and back at once")
    return Reason("data", 1, "one step only, and back at once")


def _cured_by_other_batches(incident: Incident) -> Reason | None:
    evidence = incident.evidence
    if not evidence["rollbacks"] or incident.state != "resolved" or evidence.get("accepted"):
        return None
    if "restarted_step" in evidence:
        return None
    if evidence.get("remedy", {}).get("lr_factor", 1.0) != 1.0:
        return None
    return Reason("data", 2, "gone after going back and on with other batches")


def _batch_changed(incident: Incident) -> Reason | None:
    before, now = _pair(incident, "tokens")
    if not _stability(incident) or before is None or now is None or not _other_size(incident):
        return None
    return Reason("data", 2, f"tokens a step went {number(before)} -> {number(now)}")


def _started_again(incident: Incident) -> Reason | None:
    evidence = incident.evidence
    if not _stability(incident) or "resumed_step" not in evidence:
        return None
    told = (
        f"the run was started again at step {step_text(evidence['resumed_step'])}: data order or checkpoint"
    )
    return Reason("data", 2, told)


def _batch_of_one_rank(incident: Incident) -> Reason | None:
    evidence = incident.evidence
    if evidence.get("extent") != "one" or incident.kind == "non_finite":
        return None
    return Reason("data", 1, f"one of {evidence['ranks_known']} ranks only")


def _repeated_data(incident: Incident) -> Reason | None:
    if incident.kind != "overfitting":
        return None
    return Reason("data", 2, "it learns its training data by heart")


# --- numeric ---


def _scale_collapsed(incident: Incident) -> Reason | None:
    if "loss_scale_collapse" in incident.evidence["detectors"]:
        return Reason("numeric", 3, "the loss scale collapsed")
    before, now = _pair(incident, "loss_scale")
    if not _stability(incident) or before is None or now is None or now > before / 8:
        return None
    return Reason("numeric", 3, f"loss scale {number(before)} -> {number(now)}")


def _overflowed(incident: Incident) -> Reason | None:
    """Gradients that had grown huge before a value was not finite."""
    highest, before = (incident.evidence.get(name) for name in ("grad_norm_highest", "grad_norm_before"))
    if incident.kind != "non_finite" or highest is None or before is None:
        return None
    if not (highest > max(HUGE_NORM, 10 * before) or highest > HUGE_GROWTH * before > 0.0):
        return None
    return Reason("numeric", 2, f"gradient norm had grown to {number(highest)}")


def _not_finite_everywhere(incident: Incident) -> Reason | None:
    evidence = incident.evidence
    if incident.kind != "non_finite" or evidence.get("extent") != "all":
        return None
    return Reason("numeric", 1, f"not finite on all {evidence['ranks_known']} ranks at once")


# --- hardware ---


def _of_the_machine(incident: Incident) -> Reason | None:
    """Kinds that are about machines, whatever else is known."""
    told = {
        "faulty_device": Reason("hardware", 2, "one device is not as the others"),
        "straggler": Reason("hardware", 1, "one rank is slower than the others"),
        "throughput_drop": Reason("hardware", 1, "steps take longer, on the same work"),
    }
    if incident.kind == "throughput_drop" and _other_size(incident):
        return None
    return told.get(incident.kind)


def _not_finite_on_one_rank(incident: Incident) -> Reason | None:
    evidence = incident.evidence
    if incident.kind != "non_finite" or evidence.get("extent") != "one":
        return None
    rank = evidence["ranks"][0]
    told = f"only rank {rank} of {ranks_heard(rank, evidence['ranks_known'])}: its device, or its data"
    return Reason("hardware", 1, told)


def _machine_trouble_beside(incident: Incident) -> Reason | None:
    beside = incident.evidence.get("beside", [])
    if not _stability(incident) or not beside:
        return None
    weight = 2 if "faulty_device" in beside else 1
    return Reason("hardware", weight, f"{beside[0].replace('_', ' ')} at the same time")


def _step_was_slow(incident: Incident) -> Reason | None:
    before, now = _pair(incident, "step_seconds")
    if not _stability(incident) or before is None or now is None or not now > 3 * before > 0.0:
        return None
    if now - before <= UNUSUAL * incident.evidence.get("step_seconds_strays", 0.0):
        return None
    return Reason("hardware", 1, f"a step took {now / before:.2g} times as long")


RULES: Final[Sequence[Rule]] = (
    _rate_jumped,
    _rate_was_rising,
    _gradient_grew_first,
    _bad_again_with_other_batches,
    _same_step_again,
    _one_bad_batch,
    _cured_by_other_batches,
    _batch_changed,
    _started_again,
    _batch_of_one_rank,
    _repeated_data,
    _scale_collapsed,
    _overflowed,
    _not_finite_everywhere,
    _of_the_machine,
    _not_finite_on_one_rank,
    _machine_trouble_beside,
    _step_was_slow,
)


def _stability(incident: Incident) -> bool:
    return incident.kind in KINDS and KINDS[incident.kind].story == "stability"


def _other_size(incident: Incident) -> bool:
    """Whether the batch at the onset was of another size, more so than batches of this run always are."""
    before, now = _pair(incident, "tokens")
    if before is None or now is None:
        return False
    strays: float = incident.evidence.get("tokens_strays", 0.0)
    return abs(now - before) > max(SAME_SHARE * abs(before), UNUSUAL * strays)


def _row_steps(incident: Incident) -> int:
    """How many steps there are from one row to the next."""
    return max(1, int(incident.evidence.get("row_steps", 1)))


def _ended_by_itself(evidence: Mapping[str, Any]) -> bool:
    return "followed_by" not in evidence and "restarted_step" not in evidence


def _found_later(incident: Incident) -> list[dict[str, Any]]:
    """Findings in attempts after the one in which it began."""
    return [told for told in incident.evidence["findings"] if told["attempt"] > incident.attempt]


def _pair(incident: Incident, name: str) -> tuple[float | None, float | None]:
    return incident.evidence.get(f"{name}_before"), incident.evidence.get(f"{name}_now")
