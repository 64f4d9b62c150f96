"""What came of telling a destination: it took it, a later try may help, or no try ever will."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trimtab_alerts.outbox import Delivery


@dataclass(frozen=True, slots=True)
class Ok:
    """It took it; `detail` is its answer."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """A later try may help, but not before `after_seconds` where the destination asked for a pause."""

    error: str
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Permanent:
    """No further try of the same delivery will help."""

    error: str


Outcome = Ok | Retry | Permanent


class Notifier(Protocol):
    """One way to tell people. It says whether a retry could help; the dispatcher owns retries."""

    def notify(self, delivery: Delivery) -> Outcome:
        """Tell of the delivery, within a bounded time."""
