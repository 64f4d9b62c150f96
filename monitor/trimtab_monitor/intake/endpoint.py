"""`POST /v1/runs/{run}/batches`: one batch, answered once it is durable.

A plain Starlette endpoint: the body goes from the socket to the wire's decoder and from there to the log,
and no framework looks at it in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from trimtab import wire
from trimtab_monitor.api.problems import Problem, malformed, store_unavailable, unknown_run
from trimtab_monitor.folding.progress import Progress
from trimtab_monitor.intake.admission import Admission
from trimtab_monitor.intake.event_check import check_events
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.settings import ServerSettings
from trimtab_monitor.store.protocols import Appended, StoreUnavailable

LARGE_BODY_BYTES: Final = 128 * 1024
"""From this size on a body is decoded in a thread, so that the event loop stays free for the others."""


class Ingest:
    """The endpoint. `commands` gives a run's commands that wait for its job."""

    def __init__(
        self,
        intake: Intake,
        admission: Admission,
        progress: Progress,
        commands: Callable[[str], list[wire.Command]],
        settings: ServerSettings,
    ) -> None:
        self._intake = intake
        self._admission = admission
        self._progress = progress
        self._commands = commands
        self._settings = settings

    async def post(self, request: Request) -> Response:
        """Take one batch."""
        try:
            return await self._take(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Problem as problem:
            self._intake.counts.count_refused()
            return problem.response()
        except wire.WireError as error:
            self._intake.counts.count_refused()
            return malformed(error).response()
        except StoreUnavailable as error:
            self._intake.counts.count_unavailable()
            return store_unavailable(error).response()

    async def _take(self, request: Request) -> Response:
        run = request.path_params["run"]
        if not self._intake.knows(run):
            raise unknown_run(run)
        body = await request.body()
        batch, packed = await _decode(body, request.headers.get("content-type", ""))
        appended = await self._store(run, batch, packed)
        self._intake.counts.count(appended, batch, len(body))
        await self._progress.passed(appended.position, self._settings.ack_wait_s)
        ack = wire.Ack(batch.seq, self._commands(run))
        return Response(msgspec.json.encode(ack), media_type=wire.JSON)

    async def _store(self, run: str, batch: wire.Batch, packed: bytes) -> Appended:
        with self._admission.hold(run, len(packed)) as held:
            appended = await asyncio.wrap_future(self._intake.append_batch(run, batch, packed))
            held.stored = not appended.duplicate
        return appended


async def _decode(body: bytes, content_type: str) -> tuple[wire.Batch, bytes]:
    if len(body) < LARGE_BODY_BYTES:
        return _decoded(body, content_type)
    return await run_in_threadpool(_decoded, body, content_type)


def _decoded(body: bytes, content_type: str) -> tuple[wire.Batch, bytes]:
    """The batch, and its MessagePack encoding: as it came, or made of its JSON."""
    batch = wire.decode(body, content_type)
    check_events(batch.events)
    if content_type.partition(";")[0].strip().lower() == wire.MSGPACK:
        return batch, body
    try:
        return batch, wire.encode(batch)
    except (OverflowError, UnicodeEncodeError, RecursionError) as error:
        remedy = "give integers of 64 bits, and text that is valid Unicode"
        raise wire.WireError("events", str(error), remedy) from None
