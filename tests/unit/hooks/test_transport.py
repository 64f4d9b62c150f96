"""The way to the collector: connections are kept, those that have ended are noticed, addresses may be any."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from trimtab.outbound.transport import Answer, HttpTransport, Patience, UnreachableError


class Listener(ThreadingHTTPServer):
    """Answers with the path that was asked for, and counts connections; `closes`: after each answer."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, closes: bool = False) -> None:
        self.address_family = family
        self.connections = 0
        super().__init__(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), _handler(closes))

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


def _handler(closes: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = self.path.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("retry-after", "7")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = closes  # without a word of it

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@contextmanager
def listening(listener: Listener) -> Iterator[int]:
    threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield listener.server_address[1]
    finally:
        listener.shutdown()
        listener.server_close()


def post(transport: HttpTransport, size: int = 10) -> Answer:
    return transport.post("/v1/runs", bytes(size), "application/msgpack")


def test_one_connection_serves_request_after_request() -> None:
    with listening(listener := Listener()) as port:
        transport = HttpTransport(lambda: f"http://127.0.0.1:{port}")
        assert [post(transport) for _ in range(5)] == [Answer(200, b"/v1/runs", 7.0)] * 5
        assert listener.connections == 1


def test_a_connection_that_the_other_side_has_closed_costs_no_request() -> None:
    with listening(listener := Listener(closes=True)) as port:
        transport = HttpTransport(lambda: f"http://127.0.0.1:{port}")
        for _ in range(5):
            assert post(transport).status == 200
            while transport._idle and not _ended(transport):
                pass  # until the other side's end has arrived
        assert listener.connections == 5


def _ended(transport: HttpTransport) -> bool:
    from trimtab.outbound.transport import _has_ended

    return _has_ended(transport._idle[0][1])


def test_threads_that_send_at_once_do_not_share_a_connection() -> None:
    with listening(Listener()) as port:
        transport = HttpTransport(lambda: f"http://127.0.0.1:{port}")
        answers: list[Answer] = []
        threads = [
            threading.Thread(target=lambda: answers.extend(post(transport, 300_000) for _ in range(5)))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [Answer(200, b"/v1/runs", 7.0)] * 15


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_in_the_environment_is_not_asked(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    with listening(Listener()) as port:
        assert post(HttpTransport(lambda: f"http://127.0.0.1:{port}")).status == 200


def test_an_address_may_have_a_path_before_the_collectors() -> None:
    with listening(Listener()) as port:
        answer = post(HttpTransport(lambda: f"http://127.0.0.1:{port}/behind a/pröxy"))
        assert answer.body == b"/behind%20a/pr%C3%B6xy/v1/runs"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_an_address_may_be_of_ipv6() -> None:
    with listening(Listener(socket.AF_INET6)) as port:
        assert post(HttpTransport(lambda: f"http://[::1]:{port}")).status == 200


def test_an_address_is_asked_for_again_once_nobody_answers_there() -> None:
    with listening(Listener()) as port:
        addresses = iter(["http://127.0.0.1:1", f"http://127.0.0.1:{port}"])
        transport = HttpTransport(lambda: next(addresses), Patience(connect=0.3))
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1: .*refused"):
            post(transport)
        assert post(transport).status == 200


def test_a_name_that_cannot_be_one_is_out_of_reach() -> None:
    with pytest.raises(UnreachableError):
        post(HttpTransport(lambda: f"http://{'a' * 64}.example:80"))
