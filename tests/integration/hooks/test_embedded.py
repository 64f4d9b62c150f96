"""One embedded collector a folder, whoever comes first; its address is known before it has started."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.embedded import ADDRESS, EmbeddedError, read_address, start_or_join

SERVER = """
import argparse, http.server, os, socket, sys, time
parser = argparse.ArgumentParser()
for name in ("--dir", "--fd", "--lock-fd"):
    parser.add_argument(name)
given = parser.parse_args()
time.sleep(0.3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.getpid()} {given.dir}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(given.fd))
print("started", flush=True)
server.serve_forever()
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "server.py").write_text(SERVER)
    return [sys.executable, str(tmp_path / "server.py")]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    address = read_address(folder)
    if address is not None:
        stop(address.pid)


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def ask(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=20) as answer:
        pid, folder = answer.read().decode().split(" ", 1)
    return int(pid), folder


def pid_of(folder: Path) -> int:
    address = read_address(folder)
    assert address is not None
    return address.pid


def test_requests_wait_until_the_collector_has_started(folder: Path, command: list[str]) -> None:
    url = start_or_join(folder, command)
    assert ask(url) == (pid_of(folder), str(folder))
    assert "started" in (folder / "collector.log").read_text()


def test_who_comes_later_joins(folder: Path, command: list[str]) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(start_or_join(folder, command))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    ask(found[0])


def test_one_that_died_is_started_again_at_the_same_address(folder: Path, command: list[str]) -> None:
    url = start_or_join(folder, command)
    first, _ = ask(url)
    stop(first)
    assert start_or_join(folder, command) == url
    assert ask(url)[0] != first


def test_a_port_that_is_taken_is_gone_round(folder: Path, command: list[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        folder.mkdir()
        taken = f"http://127.0.0.1:{other.getsockname()[1]}"
        (folder / ADDRESS).write_text(json.dumps({"url": taken, "pid": 2**22 + 1}))
        url = start_or_join(folder, command)
        assert url != taken
        assert ask(url)[1] == str(folder)


def test_it_outlives_the_job_that_started_it(folder: Path, command: list[str]) -> None:
    program = (
        "from pathlib import Path\nfrom trimtab.embedded import start_or_join\n"
        f"print(start_or_join(Path({str(folder)!r}), {command!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    url = done.stdout.strip()
    pid, _ = ask(url)
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while read_address(folder) is not None and time.monotonic() < deadline:
        time.sleep(0.01)


def test_one_on_another_machine_is_told_not_joined(folder: Path, command: list[str]) -> None:
    start_or_join(folder, command)
    address = json.loads((folder / ADDRESS).read_bytes())
    (folder / ADDRESS).write_text(json.dumps(address | {"host": "elsewhere"}))
    with pytest.raises(EmbeddedError, match=r"elsewhere.*TRIMTAB_URL"):
        start_or_join(folder, command)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_the_folder_should_be_is_told_with_the_remedy(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(EmbeddedError, match=r"file.*set TRIMTAB_DIR to a folder"):
        start_or_join(file / below)
