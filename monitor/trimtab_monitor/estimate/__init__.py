"""What a planned run would use, emit and cost: pure arithmetic on what is known before it starts."""

from trimtab_monitor.estimate.estimate import estimate
from trimtab_monitor.estimate.plan import Plan

__all__ = ["Plan", "estimate"]
