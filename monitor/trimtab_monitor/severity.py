"""How grave an incident is, given what was found: the one place where findings are weighed together.

A finding brings a severity of its own, by these rules, which each detector states in its settings:

- info: a mark. One sample above the noise, a single large gradient (clipping takes the harm out of it), an
  overflow that a loss scaler is there for, a plateau. It never pages, and never calls for a rollback.
- warning: it lasts, or is far more than noise, but the run may recover. What is about learning, speed or
  hardware is never more: the run goes on, and going back does not help.
- critical: large and lasting, or not finite. It may call for a rollback.

An incident is as grave as its gravest finding, and never gets less so while it is open: who was told should
not have to guess. Loss and gradient norm up together are critical, whatever each is alone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from trimtab import wire
from trimtab_monitor.kinds import breaks_the_run
from trimtab_monitor.types import SEVERITY_RANK, Severity

TOGETHER_CRITICAL: Final = frozenset((wire.LOSS, wire.GRAD_NORM))


def joint_severity(kind: str, known: Severity, found: Severity, alarmed: Collection[str]) -> Severity:
    """Return the severity of an incident of this kind, `known` so far, after a finding of severity `found`.

    `alarmed` are the metrics of which something graver than a mark was found.

    >>> joint_severity("loss_spike", "info", "warning", {"loss"})
    'warning'
    >>> joint_severity("loss_spike", "warning", "warning", {"loss", "grad_norm"})
    'critical'
    >>> joint_severity("straggler", "warning", "critical", {"step_seconds"})
    'warning'
    """
    if breaks_the_run(kind) and TOGETHER_CRITICAL.issubset(alarmed):
        return "critical"
    gravest = max(known, found, key=SEVERITY_RANK.__getitem__)
    return gravest if breaks_the_run(kind) else min(gravest, "warning", key=SEVERITY_RANK.__getitem__)
