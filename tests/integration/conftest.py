"""Real programs beside the tests: found on the PATH, started, waited for, stopped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

READY_SECONDS = 60.0
DEADLINE_S = 30.0


@pytest.fixture(scope="session")
def find_tool() -> Callable[[str], str]:
    """Find a program on the PATH; without it the test is skipped, but never in CI, which installs them."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is not None:
            return path
        reason = f"{name} is not on the PATH: apt-get install prometheus prometheus-alertmanager"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)

    return find


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A port of loopback that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture(scope="module")
def start_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[list[str], str], None]]:
    """Start a program, and wait until its URL answers; it is stopped when the module is done."""
    with ExitStack() as running:

        def start(command: list[str], ready_url: str) -> None:
            log = tmp_path_factory.mktemp("program") / "log"
            running.enter_context(_running(command, ready_url, log))

        yield start


@contextmanager
def _running(command: list[str], ready_url: str, log: Path) -> Iterator[None]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent) as process:
        try:
            _wait_until_ready(process, ready_url, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(url):
        assert process.poll() is None, f"it ended with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"{url} is not ready:\n{log.read_text()}"
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Waits until a condition holds."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(0.01)

    return wait
