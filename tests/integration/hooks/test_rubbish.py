"""Whatever answers in the collector's place, nothing is lost once the collector itself answers again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from trimtab.guard import Guard
from trimtab.identity import RunIdentity, host_name
from trimtab.outbound.drainer import NoSampler
from trimtab.outbound.pipeline import Bounds, Ends, Pipeline
from trimtab.outbound.process_dir import folders
from trimtab.outbound.transport import HttpTransport, Patience
from trimtab.testing import CollectorDouble, RecordingCollector

pytestmark = pytest.mark.timeout(60)

MIB: Final = 2**20
IDENTITY: Final = RunIdentity("run", 0, 0, 1, host_name(), "boot", {"project": "p"}, "http://c")
IMPATIENT: Final = Patience(connect=0.3, read=0.3, body=0.5)
STEPS: Final = 50

Answer = Callable[[Any], None]


def says(status: str, body: bytes = b"", **headers: str) -> Answer:
    """Answer with this, whole."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(data: bytes) -> Answer:
    """Send these bytes and cut the connection."""

    def answer(handler: Any) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def trickle(handler: Any) -> None:
    """Begin a body that never ends, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def endless(handler: Any) -> None:
    """Send a body of far more than any answer has."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(1024):
        handler.wfile.write(bytes(64 * 1024))
    handler.close_connection = True


def silent(handler: Any) -> None:
    """Take the request and say nothing."""
    time.sleep(1.0)
    handler.close_connection = True


def reset(handler: Any) -> None:
    """Reset the connection in the middle of the body."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    handler.wfile.flush()
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True


RUBBISH: Final[dict[str, Answer]] = {
    "a page of a proxy's": says("200 OK", b"<html>sign in</html>", Content_Type="text/html"),
    "half a document": says("200 OK", b'{"ack": 0, "comm'),
    "the ack of another batch": says("200 OK", b'{"ack": 4711, "commands": []}'),
    "an ack that is no number": says("200 OK", b'{"ack": "NaN"}'),
    "nothing": says("204 No Content"),
    "a redirection": says("302 Found", Location="http://127.0.0.1:1/elsewhere"),
    "too many, soon": says("429 Too Many", b"slow down", Retry_After="0"),
    "too many, rubbish": says("429 Too Many", b"slow down", Retry_After="nan"),
    "too many, negative": says("429 Too Many", b"slow down", Retry_After="-7"),
    "too many, a date": says("429 Too Many", b"slow down", Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),
    "an error": says("500 Internal Server Error", b'{"title": "boom"}'),
    "a gateway's error": says("502 Bad Gateway", b"\xff\xfe\x00"),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "half a body": raw(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"ack"'),
    "broken chunks": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "broken compression": says("200 OK", b"no gzip", Content_Encoding="gzip"),
    "a slow body": trickle,
    "an endless body": endless,
    "silence": silent,
    "a reset": reset,
}


class Impostor:
    """Gives these answers to the first requests; None is the collector's own, as all that follow are."""

    def __init__(self, *answers: Answer | None) -> None:
        self.collector = CollectorDouble()
        self.left = list(answers)
        impostor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                instead = impostor.left.pop(0) if impostor.left else None
                if instead is not None:
                    instead(self)
                    return
                answer = impostor.collector.handle(self.path, body, self.headers["Content-Type"])
                says(f"{answer.status} OK", answer.body)(self)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are cut off are part of the test."""


def pipeline(root: Path, url: str) -> Pipeline:
    transport = HttpTransport(lambda: url, IMPATIENT)
    ends = Ends(transport, NoSampler(), lambda: False, lambda _: None, lambda _: None)
    return Pipeline(IDENTITY, root, Bounds(MIB, MIB), ends, Guard())


def record(path: Pipeline) -> None:
    for step in range(1, STEPS + 1):
        path.recorder.row(step, float(step), {"loss": 1.0})
    path.recorder.alarm()  # drain at once


@pytest.mark.parametrize("kind", RUBBISH)
def test_rubbish_loses_nothing(tmp_path: Path, kind: str) -> None:
    """It comes in answer to a registration and to a batch, whichever request that is."""
    rubbish = RUBBISH[kind]
    impostor = Impostor(rubbish, None, rubbish, None, rubbish)
    try:
        path = pipeline(tmp_path, impostor.url)
        path.start()
        record(path)
        impostor.collector.wait_until(lambda seen: len(seen.rows()) >= STEPS)
        path.close(5.0)
        assert impostor.collector.rows() == list(range(1, STEPS + 1))
        assert impostor.collector.events("samples_dropped") == []
        assert impostor.collector.events("hook_error") == []
        assert folders(tmp_path) == []
    finally:
        impostor.stop()


@pytest.mark.parametrize(
    "url", ["https://{here}", "http://no-such-host.invalid:80", "http://127.0.0.1:1", "http://{silent}"]
)
def test_where_no_collector_answers_the_job_ends_and_keeps_its_steps(tmp_path: Path, url: str) -> None:
    """No TLS there, no such name, nobody listening, somebody who accepts and says nothing."""
    with RecordingCollector().running() as plain, socket.create_server(("127.0.0.1", 0)) as mute:
        here = plain.url.removeprefix("http://")
        path = pipeline(tmp_path, url.format(here=here, silent=f"127.0.0.1:{mute.getsockname()[1]}"))
        path.start()
        record(path)
        closing = threading.Thread(target=path.close, args=(1.0,))
        closing.start()
        closing.join(20.0)
        assert not closing.is_alive()
        (home,) = folders(tmp_path)
        assert list(home.glob("spool-*.seg"))
        assert plain.rows() == []
