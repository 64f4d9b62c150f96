"""Shipped doubles and contracts for tests of what tells people, and of what stores it."""

from __future__ import annotations

from trimtab_alerts.testing.contract import OutboxContract
from trimtab_alerts.testing.receiver import Received, Receiver, Reply
from trimtab_alerts.testing.samples import SampleIncident, sample_delivery

__all__ = ["OutboxContract", "Received", "Receiver", "Reply", "SampleIncident", "sample_delivery"]
