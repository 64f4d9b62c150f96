"""A command on its way to the step at which it is carried out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from trimtab.vocabulary import Command

SETTLE_SECONDS: Final = 60.0
"""How long a step may wait for the ranks to agree on when to act. They do in milliseconds, or not at all."""


class Order:
    """One command and when to obey it: at the first boundary after which `act_at` steps are done.

    `refusal` says why it must not be obeyed, None that it may be. `confirm` is called with whether it was
    carried out here, and says why the job cannot go on if it was not so everywhere.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self.confirm: Callable[[bool], str | None] = lambda _: None
        self.hold_at = 0
        self.refusal: str | None = None
        self._act_at = 0
        self._settled = threading.Event()

    def settle(self, act_at: int = 0, refusal: str | None = None, command: Command | None = None) -> Order:
        """Say when to act, or why not to; `command` replaces what was asked by what was agreed on."""
        self._act_at, self.refusal, self.command = act_at, refusal, command or self.command
        self._settled.set()
        return self

    def is_due(self, step: int) -> bool:
        """Tell whether to act now, after `step` steps; waits where this rank has promised to."""
        if step < self.hold_at:
            return False
        if not self._settled.wait(SETTLE_SECONDS):
            self.refusal = "the ranks did not agree in time"
        return self.refusal is not None or step >= self._act_at
