"""`GET /v1/stream`: what happens, as server-sent events, while it happens.

    event: sample    {run, attempt, rank, step: [...], time: [...], metrics: {name: [...]}}
    event: incident  {run, ...as in GET /v1/runs/{run}/incidents}
    event: command   {run, ...as in GET /v1/runs/{run}/commands}
    event: alert     as in GET /v1/alerts
    event: run       as in GET /v1/runs/{run}

A client that does not keep up is dropped, so that it can neither hold up the others nor grow in memory. It
may come back, and read what it missed from the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Literal

from trimtab_monitor.json_out import to_json
from trimtab_monitor.loops import call_in

Kind = Literal["sample", "incident", "command", "alert", "run"]

KEEP_ALIVE_S: Final = 15.0
_HELLO: Final = b"retry: 2000\n\n"
_KEEP_ALIVE: Final = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Something that happened to a run; `rank` is of samples only, `body` makes what is told of it."""

    kind: Kind
    run: str
    body: Callable[[], object]
    rank: int | None = None

    def frame(self) -> bytes:
        """The event as it is sent."""
        return b"event: %s\ndata: %s\n\n" % (self.kind.encode(), to_json(self.body()))


class Client:
    """One who listens: to one run or to all, to the samples of one rank."""

    def __init__(self, loop: asyncio.AbstractEventLoop, capacity: int, run: str | None, rank: int) -> None:
        self.loop = loop
        self._run, self._rank = run, rank
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(capacity + 1)  # one more for the end
        self._capacity = capacity
        self.ended = False

    def wants(self, event: StreamEvent) -> bool:
        """Whether the event is for it."""
        return self._run in (None, event.run) and event.rank in (None, self._rank)

    def put(self, frame: bytes) -> bool:
        """Queue a frame, in the loop; False if it has not kept up, which ends it."""
        if self.ended:
            return True
        if self._queue.qsize() < self._capacity:
            self._queue.put_nowait(frame)
            return True
        while not self._queue.empty():
            self._queue.get_nowait()
        self.end()
        return False

    def end(self) -> None:
        """Send what is queued, then no more."""
        if not self.ended:
            self.ended = True
            self._queue.put_nowait(None)

    async def frames(self) -> AsyncIterator[bytes]:
        """The frames to send, with a sign of life now and then, until the end."""
        yield _HELLO
        while True:
            try:
                frame = await asyncio.wait_for(self._queue.get(), KEEP_ALIVE_S)
            except TimeoutError:
                yield _KEEP_ALIVE
                continue
            if frame is None:
                return
            yield frame


class Hub:
    """Hands what happens, told from any thread, to every client, each in its own event loop."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._clients: tuple[Client, ...] = ()  # replaced as a whole: other threads read it
        self._closed = False
        self.dropped = 0

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    def publish(self, event: StreamEvent) -> None:
        """Tell whoever wants it. Costs nothing while nobody does."""
        wanted = [client for client in self._clients if client.wants(event)]
        if not wanted:
            return
        frame = event.frame()
        for client in wanted:
            call_in(client.loop, self._put, client, frame)

    async def listen(self, run: str | None, rank: int) -> AsyncIterator[bytes]:
        """The frames for one client, for as long as it listens."""
        client = Client(asyncio.get_running_loop(), self._capacity, run, rank)
        self._clients = (*self._clients, client)
        if self._closed:
            client.end()
        try:
            async for frame in client.frames():
                yield frame
        finally:
            self._forget(client)

    def close(self) -> None:
        """End every client, in the loop; whoever comes later ends at once."""
        self._closed = True
        for client in self._clients:
            client.end()

    def _put(self, client: Client, frame: bytes) -> None:
        if not client.put(frame):
            self.dropped += 1
            self._forget(client)

    def _forget(self, client: Client) -> None:
        self._clients = tuple(each for each in self._clients if each is not client)
