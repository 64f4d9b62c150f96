"""What the collector's answer to a request means: pure functions of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trimtab.outbound.transport import Answer
from trimtab.vocabulary import Command

_NEVER: Final = frozenset((400, 405, 406, 409, 410, 411, 413, 414, 415, 422, 431))
"""Statuses that say the request is wrong. Any other failure may pass: a login, a proxy, a restart."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch is durable and `commands` wait for the job; `unknown` more are of kinds not known here."""

    commands: tuple[Command, ...] = ()
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Registered:
    """The run is known; `url` is its page, if the collector says."""

    url: str | None


@dataclass(frozen=True, slots=True)
class Later:
    """Try again; `after` seconds if the collector asked for it."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class UnknownRun:
    """The collector does not know the run: register it and send again."""


@dataclass(frozen=True, slots=True)
class Never:
    """The request can never be accepted."""

    reason: str


class _RawAck(msgspec.Struct):
    ack: int
    commands: list[msgspec.Raw] = msgspec.field(default_factory=list)


def judge_batch(answer: Answer, seq: int) -> Accepted | Later | UnknownRun | Never:
    """Say what an answer to the batch `seq` means."""
    if answer.status != 200:
        return UnknownRun() if answer.status == 404 else _failure(answer)
    try:
        ack = msgspec.json.decode(answer.body, type=_RawAck)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Later(f"200 with a body that is no ack: {_shown(answer.body)}")
    if ack.ack != seq:
        return Later(f"200 with ack {ack.ack} for seq {seq}")
    commands = [command for raw in ack.commands if (command := _command(raw)) is not None]
    return Accepted(tuple(commands), len(ack.commands) - len(commands))


def judge_registration(answer: Answer) -> Registered | Later | Never:
    """Say what an answer to the registration of a run means."""
    if answer.status not in (200, 201):
        return _failure(answer)
    try:
        body = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Later(f"{answer.status} with a body that is no registration: {_shown(answer.body)}")
    url = body.get("url")
    return Registered(url if isinstance(url, str) and url else None)


def _command(raw: msgspec.Raw) -> Command | None:
    try:
        return msgspec.json.decode(raw, type=Command)
    except msgspec.DecodeError:
        return None


def _failure(answer: Answer) -> Later | Never:
    reason = f"{answer.status}: {_problem(answer.body)}"
    return Never(reason) if answer.status in _NEVER else Later(reason, answer.retry_after)


def _problem(body: bytes) -> str:
    """Return the detail of a problem document (RFC 9457), or what came in its place."""
    try:
        problem = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _shown(body)
    if isinstance(problem, dict) and (detail := problem.get("detail") or problem.get("title")):
        return str(detail)
    return _shown(body)


def _shown(body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace").strip()
    return text or "(nothing)"
