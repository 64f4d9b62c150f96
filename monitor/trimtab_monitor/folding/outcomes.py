"""What became of a command: told to people, and in the incident that it was to remedy."""

from __future__ import annotations

from typing import Literal

import msgspec

from trimtab.wire import Command
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.types import Incident

Outcome = Literal["applied", "refused", "expired"]


def close_command(state: RunState, effects: Effects, command: Command, outcome: Outcome) -> None:
    """A command waits no more: the job answered, or nobody will."""
    state.commands.pop(command.id, None)
    effects.commands[command.id] = msgspec.structs.replace(command, state=outcome)
    waiting = state.unanswered.pop(command.id, None)
    known = state.incidents.open if waiting is None else [waiting]
    for incident in known:
        remedy = incident.evidence.get("remedy", {})
        if remedy.get("command") == command.id:
            remedy["state"] = outcome
            effects.incidents[incident.id] = incident


def keep_unanswered(state: RunState, incident: Incident) -> None:
    """An incident is over; while its command is not answered, there is still something to tell of it."""
    command = incident.evidence.get("remedy", {}).get("command")
    if command in state.commands:
        state.unanswered[command] = incident
