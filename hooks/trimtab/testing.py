"""Doubles of the collector, for testing what talks to one: a real server in a thread, and none at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from trimtab import wire
from trimtab.outbound.transport import Answer, UnreachableError


@dataclass(frozen=True, slots=True)
class Received:
    """One batch as it arrived; `run` is the run that it was sent for."""

    run: str
    batch: wire.Batch


Reply = Callable[[], Answer | None]
"""What to answer instead of taking a request; None: take it."""


@dataclass
class CollectorDouble:
    """Speaks the collector's contract from memory: registers runs, takes each batch once, hands out commands.

    `replies` are used up one a request, before anything is taken. `commands` go out with every
    acknowledgement of a run's batches until an event answers them. `url` is the base of the pages that it
    names.
    """

    url: str = "http://collector.invalid"
    registrations: dict[str, dict[str, Any]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    duplicates: int = 0
    requests: int = 0
    replies: list[Reply] = field(default_factory=list)
    commands: list[wire.Command] = field(default_factory=list)
    _identities: set[tuple[str, int, int, int]] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def handle(self, path: str, body: bytes, content_type: str) -> Answer:
        """Answer one POST."""
        with self._changed:
            self.requests += 1
            reply = self.replies.pop(0) if self.replies else None
            self._changed.notify_all()
        instead = reply() if reply is not None else None
        if instead is not None:
            return instead
        with self._changed:
            answer = self._take(path, body, content_type)
            self._changed.notify_all()
            return answer

    def wait_until(self, holds: Callable[[CollectorDouble], bool], seconds: float = 20.0) -> None:
        """Wait until something holds of what was received.

        Raises:
            TimeoutError: it does not in time; the message says what is there.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not holds(self):
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"after {seconds} s: {self.requests} requests, {self.received[-3:]}")

    def rows(self, run: str | None = None, attempt: int | None = None, rank: int | None = None) -> list[int]:
        """Return the steps received, in the order of arrival."""
        return [step for batch in self.batches(run, attempt, rank) for step in batch.step]

    def column(self, metric: str, run: str | None = None) -> list[float]:
        """Return a metric's values in the order of arrival, `NOT_MEASURED` where a row lacks it."""
        values: list[float] = []
        for batch in self.batches(run):
            values += batch.metrics.get(metric, [wire.NOT_MEASURED] * batch.rows)
        return values

    def events(self, kind: str | None = None, run: str | None = None) -> list[dict[str, Any]]:
        """Return the events received, in the order of arrival."""
        every = (dict(event) for batch in self.batches(run) for event in batch.events)
        return [event for event in every if kind is None or event["kind"] == kind]

    def batches(
        self, run: str | None = None, attempt: int | None = None, rank: int | None = None
    ) -> list[wire.Batch]:
        """Return the batches received, duplicates left out, in the order of arrival."""
        return [
            received.batch
            for received in list(self.received)
            if run in (None, received.run)
            and attempt in (None, received.batch.attempt)
            and rank in (None, received.batch.rank)
        ]

    def _take(self, path: str, body: bytes, content_type: str) -> Answer:
        if path == "/v1/runs":
            return self._register(msgspec.json.decode(body))
        run = path.removeprefix("/v1/runs/").removesuffix("/batches")
        if run not in self.registrations:
            return problem(404, f"run {run!r} is not known: register it with POST /v1/runs")
        try:
            batch = wire.decode(body, content_type)
        except wire.WireError as error:
            return problem(400, str(error))
        return self._take_batch(run, batch)

    def _register(self, body: dict[str, Any]) -> Answer:
        run = str(body.get("run") or f"run-{len(self.registrations)}")
        self.registrations[run] = body
        return Answer(200, msgspec.json.encode({"run": run, "url": f"{self.url}/?run={run}"}))

    def _take_batch(self, run: str, batch: wire.Batch) -> Answer:
        identity = (run, batch.attempt, batch.rank, batch.seq)
        if identity in self._identities:
            self.duplicates += 1
        else:
            self._identities.add(identity)
            self.received.append(Received(run, batch))
        answered = {event.get("command") for event in batch.events}
        self.commands = [command for command in self.commands if command.id not in answered]
        return Answer(200, msgspec.json.encode(wire.Ack(batch.seq, self.commands)))


def problem(status: int, detail: str) -> Answer:
    """Return a problem document (RFC 9457)."""
    return Answer(status, msgspec.json.encode({"title": "refused", "status": status, "detail": detail}))


class InMemoryTransport:
    """A transport whose collector is in the same process; `reachable` can be switched off and on."""

    def __init__(self, collector: CollectorDouble) -> None:
        self.collector = collector
        self.reachable = True

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        """Send a request; raises `UnreachableError` while the collector is switched off."""
        if not self.reachable:
            raise UnreachableError("the collector is switched off")
        return self.collector.handle(path, body, content_type)


class RecordingCollector(CollectorDouble):
    """The same behind HTTP on loopback; use it as a context manager, or `start` and `stop` it.

    It can be started again after it was stopped, on the same port.
    """

    def __init__(self) -> None:
        super().__init__()
        self._port = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen."""
        server = _Server(("127.0.0.1", self._port), _handler_of(self))
        self._port = server.server_address[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on; those that are open are cut."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._thread.join()
            self._server = None

    @contextmanager
    def running(self) -> Iterator[RecordingCollector]:
        """Listen for the length of a block."""
        self.start()
        try:
            yield self
        finally:
            self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are cut off are part of the test."""

    def cut(self) -> None:
        """Close the connections that are open."""
        for request in list(self._open):
            self.shutdown_request(request)


def _handler_of(collector: CollectorDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answer = collector.handle(self.path, body, self.headers.get("Content-Type", ""))
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.body)))
            if answer.retry_after is not None:
                self.send_header("Retry-After", f"{answer.retry_after:.0f}")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler
