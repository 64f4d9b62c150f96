"""Commands are taken once, and obeyed only by the owner's leave and in the attempt they were meant for."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.rewind.commands import CommandDesk, Mode, refusal
from trimtab.rewind.orders import Order
from trimtab.rewind.rewind import Outcome
from trimtab.vocabulary import Command


class Actor:
    """Carries everything out, and remembers it."""

    def __init__(self) -> None:
        self.applied: list[tuple[str, int]] = []

    def apply(self, command: Command, step: int) -> Outcome:
        self.applied.append((command.id, step))
        return Outcome(True, command.to_step, "done")


def command(number: int = 1, attempt: int = 0) -> Command:
    return Command(id=f"c{number}", kind="rollback", attempt=attempt, to_step=5)


def test_a_command_that_every_ack_repeats_is_taken_once() -> None:
    desk = CommandDesk("auto", Actor())
    desk.put([command(1)])
    desk.put([command(1), command(2)])
    assert [order.command.id for order in desk.waiting] == ["c1", "c2"]
    desk.waiting.clear()
    desk.put([command(1), command(2)])
    assert not desk.waiting


def test_a_command_is_carried_out_at_the_step_where_the_job_is() -> None:
    actor = Actor()
    assert CommandDesk("auto", actor).act(Order(command()), 9, 0).to_step == 5
    assert actor.applied == [("c1", 9)]


@pytest.mark.parametrize("mode", ["off", "advise"])
@pytest.mark.parametrize("kind", ["rollback", "scale_lr", "stop"])
def test_without_the_owners_leave_nothing_is_done(mode: Mode, kind: Any) -> None:
    actor = Actor()
    outcome = CommandDesk(mode, actor).act(Order(Command(id="c", kind=kind)), 9, 0)
    assert not outcome.applied
    assert mode in outcome.detail
    assert actor.applied == []


def test_a_command_for_another_attempt_is_refused() -> None:
    assert refusal(command(attempt=1), "auto", 1) is None
    assert "attempt 1" in (refusal(command(attempt=1), "auto", 2) or "")


def test_to_stop_needs_no_snapshot() -> None:
    actor = Actor()
    assert CommandDesk("auto", actor).act(Order(Command(id="c", kind="stop")), 9, 0).applied
    assert actor.applied == []
