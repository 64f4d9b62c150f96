"""The rollback policy, value by value: when, to where, what next, and when to give up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import pytest

from trimtab import wire
from trimtab_monitor.incident_text import describe
from trimtab_monitor.rollback import RollbackSettings, advance, decide
from trimtab_monitor.rollback_state import RollbackState
from trimtab_monitor.types import Incident, Sample

SETTINGS = RollbackSettings()
Kind = Literal["loss_spike", "non_finite", "hung"]


def state(*steps: int, mode: str = "auto") -> RollbackState:
    made = RollbackState("run-1")
    made.on_start(mode, 0)
    for step in steps:
        made.on_checkpoint(step, f"s{step}", finite=True, time=float(step))
    return made


def incident(kind: Kind = "loss_spike", onset: int = 100, bad: int = 2, **changes: Any) -> Incident:
    made = Incident(
        id="run-1.1",
        kind=kind,
        severity="critical",
        metric="loss",
        start_step=onset,
        detected_step=onset,
        peak_step=onset,
        end_step=None,
        state="open",
        summary="loss 2.00 -> 9.00",
        evidence={
            "value": 9.0,
            "baseline": 2.0,
            "score": 50.0,
            "step": onset,
            "peak": 9.0,
            "ranks": [0],
            "findings": [],
            "rollbacks": [],
        },
        bad_samples=bad,
        last_bad_step=onset,
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def sample(step: int = 101, attempt: int = 0, loss: float = 9.0, rank: int = 0) -> Sample:
    return Sample(step, 1000.0 + step, {"loss": loss}, attempt, rank)


def answered(known: RollbackState, command: wire.Command | None, attempt: int) -> None:
    assert command is not None
    known.on_applied(command.id, "applied", command.to_step, attempt)


def targets(
    known: RollbackState, incidents: Sequence[Incident], rounds: int
) -> list[tuple[str, int | None, float]]:
    """Let each command be obeyed, and the run be bad again at once."""
    commands: list[tuple[str, int | None, float]] = []
    step = 101
    for attempt in range(rounds):
        command = advance(SETTINGS, known, incidents, [], sample(step, attempt))
        if command is None:
            break
        commands.append((command.kind, command.to_step, command.lr_factor))
        if command.to_step is None:
            continue
        answered(known, command, attempt + 1)
        step = command.to_step + 2
    return commands


# --- when ---


def test_a_confirmed_critical_incident_is_rolled_back_to_before_its_onset() -> None:
    known = state(80, 90, 96)
    command = decide(SETTINGS, known, [incident()], sample())
    assert command == wire.Command(
        id="run-1.c1",
        kind="rollback",
        attempt=0,
        to_step=90,
        reason="loss 2.00 -> 9.00: go back to step 90, remedy 1 of 8",
        incident="run-1.1",
        state="pending",
        time=1101.0,
    )


def test_deciding_changes_nothing() -> None:
    known, open_ = state(80, 90), [incident()]
    before = msgspec.msgpack.encode((known, open_))
    assert decide(SETTINGS, known, open_, sample()) == decide(SETTINGS, known, open_, sample())
    assert msgspec.msgpack.encode((known, open_)) == before


def test_nothing_is_decided_where_it_is_off() -> None:
    assert decide(SETTINGS, state(80, mode="off"), [incident()], sample()) is None


@pytest.mark.parametrize(
    "calm",
    [
        incident(severity="warning"),
        incident(bad=1),
        incident(bad=0),
        incident(kind="hung"),
    ],
)
def test_what_is_not_critical_or_not_confirmed_is_left_alone(calm: Incident) -> None:
    assert decide(SETTINGS, state(80), [calm], sample()) is None


@pytest.mark.parametrize("rank", [0, 3])
def test_a_value_that_is_not_finite_is_acted_on_at_once_on_any_rank(rank: int) -> None:
    command = decide(SETTINGS, state(80), [incident("non_finite", bad=1)], sample(loss=math.nan, rank=rank))
    assert command is not None
    assert command.to_step == 80


def test_another_ranks_fine_sample_does_not_call_for_a_rollback() -> None:
    assert decide(SETTINGS, state(80), [incident("non_finite", bad=1)], sample(loss=2.0, rank=3)) is None


def test_where_people_decide_they_are_advised_once() -> None:
    known, open_ = state(80, mode="advise"), [incident()]
    command = advance(SETTINGS, known, open_, [], sample())
    assert command is not None
    assert (command.state, command.to_step) == ("advised", 80)
    assert advance(SETTINGS, known, open_, [], sample(102)) is None


def test_nothing_more_is_decided_until_the_job_answered() -> None:
    known, open_ = state(80), [incident()]
    first = advance(SETTINGS, known, open_, [], sample())
    assert advance(SETTINGS, known, open_, [], sample(102)) is None
    answered(known, first, 1)
    assert advance(SETTINGS, known, open_, [], sample(103, attempt=0)) is None
    second = advance(SETTINGS, known, open_, [], sample(82, attempt=1))
    assert second is not None
    assert (second.id, second.attempt) == ("run-1.c2", 1)


def test_after_a_rollback_it_cools_down_unless_a_value_is_not_finite() -> None:
    settings = RollbackSettings(cool_down_steps=5)
    known = state(80)
    answered(known, advance(settings, known, [incident()], [], sample()), 1)
    assert decide(settings, known, [incident()], sample(85, attempt=1)) is None
    assert decide(settings, known, [incident()], sample(86, attempt=1)) is not None
    bad = incident("non_finite", bad=1)
    assert decide(settings, known, [bad], sample(81, attempt=1, loss=math.inf)) is not None


def test_a_process_that_starts_again_forgets_what_was_asked_and_what_was_in_memory() -> None:
    known = state(80)
    known.on_checkpoint(60, "/ckpt/60", finite=True, time=1.0, where="disk")
    advance(SETTINGS, known, [incident()], [], sample())
    known.on_start("auto", 1)
    assert known.pending is None
    assert known.remedies[0].outcome == "expired"
    assert [checkpoint.id for checkpoint in known.checkpoints] == ["/ckpt/60"]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'always': use one of off, advise, auto"):
        RollbackState("r").on_start("always", 0)


# --- to where ---


def test_a_checkpoint_that_is_not_finite_is_never_gone_back_to() -> None:
    known = state(80)
    known.on_checkpoint(90, "s90", finite=False, time=90.0)
    command = decide(SETTINGS, known, [incident()], sample())
    assert command is not None
    assert command.to_step == 80


def test_a_checkpoint_must_be_older_than_the_onset_by_the_margin() -> None:
    command = decide(RollbackSettings(margin_steps=20), state(80, 81, 95), [incident()], sample())
    assert command is not None
    assert command.to_step == 80


def test_what_was_saved_during_an_incident_is_trusted_only_if_it_came_after_the_bad() -> None:
    known = state(60)
    earlier = incident(onset=70)
    for step in range(70, 76):
        advance(RollbackSettings(confirm_samples=99), known, [earlier], [], sample(step))
    known.on_checkpoint(75, "s75", finite=True, time=75.0)
    earlier.bad_samples = 0
    advance(SETTINGS, known, [earlier], [], sample(76))
    known.on_checkpoint(80, "s80", finite=True, time=80.0)
    assert [checkpoint.trusted for checkpoint in known.checkpoints] == [True, False, False]
    earlier.state = "resolved"
    advance(SETTINGS, known, [], [earlier], sample(85))
    assert [(checkpoint.step, checkpoint.trusted) for checkpoint in known.checkpoints] == [
        (60, True),
        (80, True),
    ]


def test_without_an_eligible_checkpoint_the_incident_says_so_once() -> None:
    known, bad = state(97), incident()
    assert advance(SETTINGS, known, [bad], [], sample()) is None
    assert bad.evidence["no_rollback"].startswith(
        "no checkpoint from step 95 or earlier is known to be healthy (held: 97)"
    )
    assert known.noted == ["run-1.1"]
    bad.evidence.clear()
    advance(SETTINGS, known, [bad], [], sample(102))
    assert bad.evidence == {}


def test_a_refused_checkpoint_is_not_asked_for_again() -> None:
    known, open_ = state(80, 90), [incident()]
    first = advance(SETTINGS, known, open_, [], sample())
    assert first is not None
    known.on_applied(first.id, "refused", None, 0)
    second = advance(SETTINGS, known, open_, [], sample(102))
    assert second is not None
    assert (first.to_step, second.to_step) == (90, 80)


def test_a_checkpoint_that_turns_non_finite_after_two_loads_is_blamed() -> None:
    known, steps, attempt = state(60, 70, 80), [], 0
    open_ = [incident("non_finite", bad=1)]
    step = 101
    for attempt in range(4):
        command = advance(SETTINGS, known, open_, [], sample(step, attempt, loss=math.nan))
        answered(known, command, attempt + 1)
        assert command is not None
        assert command.to_step is not None
        steps.append(command.to_step)
        step = command.to_step + 1
    assert steps == [80, 80, 70, 70]


# --- what next ---


def test_the_ladder_repeats_then_goes_further_back_with_a_lower_rate_then_stops() -> None:
    assert targets(state(60, 70, 80), [incident()], 20) == [
        *[("rollback", 80, 1.0)] * 6,
        ("rollback", 70, 0.5),
        ("rollback", 60, 0.5),
        ("stop", None, 1.0),
    ]


def test_a_run_has_a_budget_over_all_incidents() -> None:
    settings = RollbackSettings(rollbacks_per_run=2)
    known = state(80)
    for attempt in range(2):
        bad = incident(id=f"run-1.{attempt}")
        answered(known, advance(settings, known, [bad], [], sample(90 + attempt, attempt)), attempt + 1)
    last = decide(settings, known, [incident(id="run-1.9")], sample(90, 2))
    assert last is not None
    assert (last.kind, last.to_step) == ("stop", None)
    assert "all 2 rollbacks of the run are used up" in last.reason


def test_the_incident_tells_of_the_remedy() -> None:
    bad = incident()
    advance(SETTINGS, state(80), [bad], [], sample())
    assert bad.evidence["remedy"] == {
        "command": "run-1.c1",
        "kind": "rollback",
        "to_step": 80,
        "lr_factor": 1.0,
        "state": "pending",
    }


def test_the_summary_tells_what_the_policy_would_do_where_it_only_advises() -> None:
    bad = incident()
    advance(SETTINGS, state(80, mode="advise"), [bad], [], sample())
    assert bad.summary.endswith("would go back to step 80: rollback is 'advise'")
    bad.state = "resolved"
    assert "would have gone back to step 80: rollback is 'advise'; over" in describe(bad)


def test_the_summary_tells_that_the_policy_would_stop() -> None:
    bad = incident()
    advance(RollbackSettings(rollbacks_per_run=0), state(80, mode="advise"), [bad], [], sample())
    assert bad.summary.endswith("would stop: rollback is 'advise'")


@pytest.mark.parametrize("mode", ["advise", "auto"])
def test_the_summary_tells_that_no_snapshot_can_be_gone_back_to(mode: str) -> None:
    bad = incident()
    advance(SETTINGS, state(98, mode=mode), [bad], [], sample())
    assert bad.summary.endswith("no healthy snapshot from before it to go back to")


def test_what_is_done_is_not_told_as_advice() -> None:
    bad = incident()
    advance(SETTINGS, state(80), [bad], [], sample())
    assert "advise" not in bad.summary


def test_the_state_serialises() -> None:
    known = state(60, 80)
    targets(known, [incident()], 3)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=RollbackState) == known


def test_the_state_is_bounded() -> None:
    known = state(*range(1000))
    known.mode = "advise"
    for ordinal in range(1000):
        advance(SETTINGS, known, [incident(id=f"run-1.{ordinal}", onset=1100)], [], sample(1101))
    assert known.commands == 1000
    assert len(msgspec.msgpack.encode(known)) < 60_000
