from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from trimtab_alerts.outbox import Delivery, InMemoryOutbox
from trimtab_alerts.testing import OutboxContract, sample_delivery


class TestInMemoryOutbox(OutboxContract[InMemoryOutbox]):
    def outbox(self) -> InMemoryOutbox:
        return InMemoryOutbox()

    def add(self, outbox: InMemoryOutbox, deliveries: Sequence[Delivery]) -> None:
        outbox.add(deliveries)


def test_a_body_that_is_no_alert_is_told_as_such() -> None:
    with pytest.raises(msgspec.ValidationError):
        replace(sample_delivery(), body='{"id": 1}').alert()
