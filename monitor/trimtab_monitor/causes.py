"""The likely cause of an incident, and what speaks for it: data, learning rate, numeric, hardware, unknown.

Every rule that finds something gives a reason with a weight, and the class with the most weight is the cause.
A rule that finds nothing says nothing; where none speaks the cause is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from trimtab_monitor.cause_rules import RULES, CauseClass, Reason
from trimtab_monitor.types import Incident

Confidence = Literal["likely", "possible", ""]

LIKELY: Final = 2
"""From this weight, and if it has more than any other class, a cause is likely; else it is possible."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The class of a cause, how sure it is, and what speaks for it; no reasons where it is unknown."""

    kind: CauseClass
    confidence: Confidence
    because: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The shape in which an incident's evidence tells it."""
        return {"class": self.kind, "confidence": self.confidence, "because": list(self.because)}


UNKNOWN: Final = Cause("unknown", "", ())


def cause_of(incident: Incident) -> Cause:
    """Weigh all that speaks for a class; of two with the same weight the first in the list of rules counts.

    >>> from trimtab_monitor.testing.incidents import an_incident
    >>> cause_of(an_incident(lr_before=1e-3, lr_now=3e-2, lr_jump_step=99, lr_jump_factor=30.0))
    Cause(kind='learning_rate', confidence='likely', because=('it rose 30 times at step 99',))
    """
    return weigh(reason for rule in RULES if (reason := rule(incident)) is not None)


def weigh(reasons: Iterable[Reason]) -> Cause:
    """Return the class with the most weight, with its own reasons, the weightiest first."""
    known = list(reasons)
    weights: dict[CauseClass, int] = {}
    for reason in known:
        weights[reason.kind] = weights.get(reason.kind, 0) + reason.weight
    if not weights:
        return UNKNOWN
    first, *others = sorted(weights, key=lambda kind: -weights[kind])
    sure = weights[first] >= LIKELY and all(weights[first] > weights[other] for other in others)
    own = sorted((reason for reason in known if reason.kind == first), key=lambda each: -each.weight)
    return Cause(first, "likely" if sure else "possible", tuple(each.phrase for each in own))
