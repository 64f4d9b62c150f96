"""The collector's commands inside the job, from the sender's thread to the next step boundary."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol

from trimtab.rewind.orders import Order
from trimtab.rewind.rewind import Outcome
from trimtab.vocabulary import Command

Mode = Literal["off", "advise", "auto"]
MODES: Final[tuple[Mode, ...]] = ("off", "advise", "auto")

STOP: Final = "stop"


class Actor(Protocol):
    """Carries out rollbacks and cuts of the learning rate."""

    def apply(self, command: Command, step: int) -> Outcome:
        """Carry a command out after `step` good steps, or refuse it with the reason."""


class CommandDesk:
    """Takes each command once and carries it out, or refuses it with the reason.

    `waiting` is looked at once a step; it is empty nearly always. `negotiate`, where given, gets each
    command that is obeyed only together with other ranks, and puts the order in `waiting` itself.
    `stops_at_budget`: the owner set a budget and lets it stop the job, whatever the mode.
    """

    def __init__(
        self,
        mode: Mode,
        actor: Actor,
        negotiate: Callable[[Command], None] | None = None,
        stops_at_budget: bool = False,
    ) -> None:
        self.waiting: deque[Order] = deque()
        self._negotiate = negotiate
        self._mode: Mode = mode
        self._stops_at_budget = stops_at_budget
        self._actor = actor
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def put(self, commands: Iterable[Command]) -> None:
        """Take commands in; each acknowledgement repeats those that the job has not answered yet."""
        with self._lock:
            new = [command for command in commands if command.id not in self._seen]
            self._seen.update(command.id for command in new)
        for command in new:
            if self._negotiate is None or not self._may_obey(command):
                self.waiting.append(Order(command).settle())
            else:
                self._negotiate(command)

    def refusal(self, command: Command, attempt: int) -> str | None:
        """Say why a command must not be obeyed in this attempt; None: it may be."""
        return refusal(command, self._mode, attempt, self._stops_at_budget)

    def act(self, order: Order, step: int, attempt: int) -> Outcome:
        """Carry an order out after `step` good steps of `attempt`, or refuse it."""
        command = order.command
        reason = order.refusal or self.refusal(command, attempt)
        if reason is not None:
            return Outcome(False, None, reason)
        if command.kind == STOP:
            return Outcome(True, None, "the next step() asks the loop to stop")
        return self._actor.apply(command, step)

    def _may_obey(self, command: Command) -> bool:
        return self.refusal(command, command.attempt) is None


def refusal(command: Command, mode: Mode, attempt: int, stops_at_budget: bool = False) -> str | None:
    """Say why a command must not be obeyed; None: it may be.

    >>> refusal(Command(id="c1", kind="stop", attempt=0), mode="advise", attempt=0)
    "the job's owner set rollback='advise': commands are not obeyed"
    """
    stops = stops_at_budget and command.kind == STOP and command.budget is not None
    if mode != "auto" and not stops:
        return f"the job's owner set rollback={mode!r}: commands are not obeyed"
    if command.attempt != attempt:
        return f"it was decided on attempt {command.attempt}, and the job is at attempt {attempt}"
    return None
