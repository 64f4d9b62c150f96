"""Tells alerts on a stream, one line each: in colour to a person, plain to a file or a pipe."""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO

import msgspec

from trimtab_alerts.alert import Action, Alert
from trimtab_alerts.outbox import Delivery
from trimtab_alerts.outcome import Ok, Outcome, Permanent
from trimtab_alerts.text import rfc3339

_WORDS: Final[dict[Action, str]] = {
    "trigger": "ALERT",
    "update": "WORSE",
    "acknowledge": "TAKEN",
    "resolve": "RESOLVED",
}
_COLOURS: Final = {"critical": "\x1b[1;31m", "warning": "\x1b[33m", "resolved": "\x1b[32m"}


class ConsoleNotifier:
    """Writes one line an alert on `stream`, by default standard error."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr

    def notify(self, delivery: Delivery) -> Outcome:
        """Write the line."""
        try:
            alert = delivery.alert()
        except msgspec.DecodeError as error:
            return Permanent(f"the delivery holds no alert: {error}")
        line = render(delivery.action, alert)
        if self._is_for_people():
            line = f"{_COLOURS[_tone(delivery.action, alert)]}{line}\x1b[0m"
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            return Permanent(f"the console cannot be written: {error}")
        return Ok("written")

    def _is_for_people(self) -> bool:
        return not self._stream.closed and self._stream.isatty() and "NO_COLOR" not in os.environ


def render(action: Action, alert: Alert) -> str:
    """The line: when, what became of it, how severe, which run, what."""
    when = rfc3339(alert.starts_at if alert.ends_at is None else alert.ends_at)
    line = f"{when} trimtab {_WORDS[action]} {alert.severity} {alert.run}: {alert.summary} [{alert.id}]"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _tone(action: Action, alert: Alert) -> str:
    return "resolved" if action == "resolve" else alert.severity
