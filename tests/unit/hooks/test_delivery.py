"""What each answer of the collector means for a batch and for a registration."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.outbound.backoff import LONGEST_SECONDS, wait_seconds
from trimtab.outbound.delivery import (
    Accepted,
    Later,
    Never,
    Registered,
    UnknownRun,
    judge_batch,
    judge_registration,
)
from trimtab.outbound.transport import Answer, retry_after
from trimtab.testing import problem

ROLLBACK = {"id": "c1", "kind": "rollback", "attempt": 2, "to_step": 40, "lr_factor": 0.5, "state": "pending"}


def answer(status: int, body: Any = None, **rest: Any) -> Answer:
    return Answer(status, json.dumps(body).encode() if body is not None else b"<html>no</html>", **rest)


def test_an_ack_brings_commands() -> None:
    outcome = judge_batch(answer(200, {"ack": 3, "commands": [ROLLBACK]}), 3)
    assert isinstance(outcome, Accepted)
    assert [(command.kind, command.to_step) for command in outcome.commands] == [("rollback", 40)]


def test_a_command_that_is_not_known_does_not_spoil_the_ack() -> None:
    commands = [{"id": "c0", "kind": "dance"}, ROLLBACK, 7]
    outcome = judge_batch(answer(200, {"ack": 3, "commands": commands, "more": 1}), 3)
    assert isinstance(outcome, Accepted)
    assert ([command.id for command in outcome.commands], outcome.unknown) == (["c1"], 2)


@pytest.mark.parametrize("body", [None, {}, [], {"ack": 4}, {"ack": "3"}, {"ack": 3, "commands": 1}, "ok"])
def test_rubbish_is_no_ack(body: Any) -> None:
    assert isinstance(judge_batch(answer(200, body), 3), Later)


@pytest.mark.parametrize("status", [204, 301, 401, 403, 407, 408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert judge_batch(answer(status, retry_after=7.0), 3) == Later(f"{status}: <html>no</html>", 7.0)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_refused_for_good_says_why(status: int) -> None:
    assert judge_batch(problem(status, "step: 'x': give an integer"), 3) == Never(
        f"{status}: step: 'x': give an integer"
    )


def test_an_unknown_run_is_told_apart() -> None:
    assert judge_batch(problem(404, "no such run"), 3) == UnknownRun()
    assert isinstance(judge_registration(problem(404, "no such path")), Later)


def test_a_registration_gives_the_page() -> None:
    assert judge_registration(answer(201, {"run": "r", "url": "http://c/?run=r"})) == Registered(
        "http://c/?run=r"
    )
    assert judge_registration(answer(200, {"run": "r"})) == Registered(None)
    assert isinstance(judge_registration(answer(200)), Later)
    assert isinstance(judge_registration(problem(422, "project: ''")), Never)


@given(st.binary(max_size=60), st.integers(100, 599))
def test_no_answer_whatever_it_is_raises(body: bytes, status: int) -> None:
    judge_batch(Answer(status, body), 0)
    judge_registration(Answer(status, body))


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_are_bounded_and_grow(failures: int, share: float) -> None:
    assert 0 <= wait_seconds(failures, share) <= LONGEST_SECONDS
    assert wait_seconds(failures, share) <= wait_seconds(failures + 1, share)


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True), st.floats(0, 300))
def test_a_server_that_asks_for_time_gets_it(failures: int, share: float, asked: float) -> None:
    assert wait_seconds(failures, share, asked) >= asked


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("9" * 9, None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_not_at_all(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds
