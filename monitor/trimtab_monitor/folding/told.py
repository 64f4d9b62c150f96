"""What others are told of the fold's work: the stream, the dispatcher of alerts, the admission of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from trimtab import wire
from trimtab_monitor.entries import BatchReceived
from trimtab_monitor.intake.admission import Admission
from trimtab_monitor.store.protocols import Commit
from trimtab_monitor.stream import Hub, StreamEvent
from trimtab_monitor.types import Incident


class Listener(Protocol):
    """Hears of the fold's work, in the fold's thread: it must not take long."""

    def folded(self, run: str, batches: Sequence[BatchReceived]) -> None:
        """These batches of a run were folded."""

    def committed(self, commit: Commit) -> None:
        """The state and these effects are durable."""


class Announcer:
    """Passes it on: rows and changes to the stream, new deliveries to whom `wake_dispatcher` wakes."""

    def __init__(self, hub: Hub, admission: Admission, wake_dispatcher: Callable[[], None]) -> None:
        self._hub = hub
        self._admission = admission
        self._wake_dispatcher = wake_dispatcher

    def folded(self, run: str, batches: Sequence[BatchReceived]) -> None:
        """See Listener."""
        self._admission.folded(run, len(batches))
        for entry in batches:
            if entry.batch.rows:
                rank = entry.batch.rank
                self._hub.publish(StreamEvent("sample", run, partial(_sample, run, entry.batch), rank))

    def committed(self, commit: Commit) -> None:
        """See Listener."""
        for event in changes(commit):
            self._hub.publish(event)
        if commit.deliveries:
            self._wake_dispatcher()


def changes(commit: Commit) -> Iterator[StreamEvent]:
    """What changed with a commit."""
    for run, incident in commit.incidents:
        yield StreamEvent("incident", run, partial(_incident, run, incident))
    for run, command in commit.commands:
        yield StreamEvent("command", run, partial(_command, run, command))
    for alert in commit.alerts:
        yield StreamEvent("alert", alert.run, alert.as_json)
    for snapshot in commit.runs:
        yield StreamEvent("run", snapshot.run, snapshot.summary.as_json)


def _sample(run: str, batch: wire.Batch) -> dict[str, Any]:
    return {
        "run": run,
        "attempt": batch.attempt,
        "rank": batch.rank,
        "step": batch.step.tolist(),
        "time": batch.time.tolist(),
        "metrics": {
            name: [value if wire.is_measured(value) else None for value in column]
            for name, column in batch.metrics.items()
        },
    }


def _incident(run: str, incident: Incident) -> dict[str, Any]:
    return {"run": run, **incident.as_json()}


def _command(run: str, command: wire.Command) -> dict[str, Any]:
    return {"run": run, **msgspec.to_builtins(command)}
