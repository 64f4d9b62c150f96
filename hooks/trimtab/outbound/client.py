"""The two calls of the collector's that a job makes."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from trimtab.identity import RunIdentity
from trimtab.outbound.delivery import (
    Accepted,
    Later,
    Never,
    Registered,
    UnknownRun,
    judge_batch,
    judge_registration,
)
from trimtab.outbound.spool import SpoolRecord
from trimtab.outbound.transport import Transport, UnreachableError
from trimtab.wire import JSON, MSGPACK


class Client:
    """Registers runs and sends batches through a transport; one request at a time, no retries."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(self, identity: RunIdentity) -> Registered | Later | Never:
        """Make the run known; harmless if it is."""
        body: dict[str, Any] = {**identity.registration, "run": identity.run}
        try:
            answer = self._transport.post("/v1/runs", msgspec.json.encode(body), JSON)
        except UnreachableError as error:
            return Later(str(error))
        return judge_registration(answer)

    def send(self, run: str, record: SpoolRecord) -> Accepted | Later | UnknownRun | Never:
        """Send a batch; harmless if it was sent before."""
        path = f"/v1/runs/{quote(run, safe='')}/batches"
        try:
            answer = self._transport.post(path, record.body, MSGPACK)
        except UnreachableError as error:
            return Later(str(error))
        return judge_batch(answer, record.seq)
