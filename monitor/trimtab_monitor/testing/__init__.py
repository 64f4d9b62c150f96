"""Shipped doubles for tests of what talks to a collector: a real one in a thread, and runs to send to it."""

from __future__ import annotations

from trimtab_monitor.testing.running import RunningCollector
from trimtab_monitor.testing.story import Story, batches_of

__all__ = ["RunningCollector", "Story", "batches_of"]
