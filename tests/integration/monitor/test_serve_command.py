"""`trimtab serve` as a process: its exits, its locks, its shutdown, its full disk."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from trimtab import wire
from trimtab.embedded import read_address, start_or_join

Wait = Callable[[Callable[[], object]], None]
Serve = Callable[..., subprocess.Popen[str]]

SERVE = [sys.executable, "-m", "trimtab_monitor", "serve"]
PATIENCE_S = 60.0


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts collectors on a folder of the test; all of them are gone afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*SERVE, *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
            | variables,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and what it said on standard error."""
    _, told = process.communicate(timeout=PATIENCE_S)
    return process.returncode, told


@pytest.fixture
def running(serve: Serve, tmp_path: Path, wait_until: Wait) -> tuple[subprocess.Popen[str], str]:
    """A collector that answers, and its URL."""
    process = serve("--port", "0", "--dir", "data")
    return process, url_of(process, tmp_path / "data", wait_until)


def url_of(process: subprocess.Popen[str], folder: Path, wait_until: Wait) -> str:
    def is_up() -> bool:
        assert process.poll() is None, ended(process)
        address = read_address(folder)
        return address is not None and address.pid == process.pid

    wait_until(is_up)
    address = read_address(folder)
    assert address is not None
    return address.url


class TestExits:
    def test_a_taken_port(self, serve: Serve) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, told = ended(serve("--port", str(port)))
        assert code == 1
        assert told == (
            f"trimtab serve: cannot listen on 127.0.0.1:{port}: Address already in use; "
            "give another --port, or stop what listens there\n"
        )

    def test_a_host_that_is_not_here(self, serve: Serve) -> None:
        code, told = ended(serve("--host", "203.0.113.1", "--port", "0"))
        assert code == 1
        assert "cannot listen on 203.0.113.1" in told

    def test_a_wrong_flag(self, serve: Serve) -> None:
        code, told = ended(serve("--port", "70000"))
        assert (code, told.startswith("trimtab serve: --port: server.port: 70000: ")) == (2, True)

    def test_a_wrong_settings_file(self, serve: Serve, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text("[server]\nprot = 1\n")
        code, told = ended(serve("--config", "mine.toml"))
        assert (code, told) == (
            2,
            "trimtab serve: mine.toml:2: server.prot: unknown key; did you mean port?\n",
        )

    def test_a_variable_that_sets_nothing_is_told(self, serve: Serve, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        _, told = ended(serve("--dir", "file", TRIMTAB_LIVENESS_TICK_S="1", TRIMTAB_RUN="run"))
        assert told.splitlines()[0] == (
            "trimtab serve: environment TRIMTAB_LIVENESS_TICK_S sets nothing: "
            "did you mean TRIMTAB_LIVENESS__TICK_S?"
        )
        assert "TRIMTAB_RUN" not in told

    def test_a_settings_file_that_is_not_there(self, serve: Serve) -> None:
        code, told = ended(serve("--config", "nowhere.toml"))
        assert (code, told.startswith("trimtab serve: nowhere.toml: cannot be read")) == (2, True)

    @pytest.mark.parametrize("folder", ["file", "file/data"])
    def test_a_folder_that_is_a_file(self, serve: Serve, tmp_path: Path, folder: str) -> None:
        (tmp_path / "file").write_text("")
        code, told = ended(serve("--dir", folder, "--port", "0"))
        assert code == 2
        assert f"{folder}: file is a file; give another --dir, or move the file away" in told

    @pytest.mark.parametrize("folder", ["/proc/self", "/proc/self/data"])
    def test_a_folder_that_nobody_can_write_to(self, serve: Serve, folder: str) -> None:
        code, told = ended(serve("--dir", folder, "--port", "0"))
        assert (code, "give another --dir" in told) == (2, True)
        assert ("make the folder writable" in told) == Path(folder).is_dir()

    def test_a_store_that_is_none(self, serve: Serve, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "trimtab.db").write_text("hello" * 1000)
        code, told = ended(serve("--dir", "data", "--port", "0"))
        assert code == 2
        assert "trimtab.db is no database of Trimtab's" in told
        assert "move it away, or give another --dir" in told


class TestFolder:
    def test_two_cannot_work_in_one(self, serve: Serve, running: tuple[subprocess.Popen[str], str]) -> None:
        process, url = running
        code, told = ended(serve("--port", "0", "--dir", "data"))
        assert code == 1
        assert f"a collector at {url} (process {process.pid}) works in data" in told
        assert "stop it, or give another --dir" in told
        assert httpx.get(f"{url}/healthz").status_code == 200

    def test_jobs_find_it(self, running: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
        assert start_or_join(tmp_path / "data") == running[1]

    def test_the_next_one_finds_what_was_there(
        self, serve: Serve, running: tuple[subprocess.Popen[str], str], tmp_path: Path, wait_until: Wait
    ) -> None:
        process, url = running
        httpx.post(f"{url}/v1/runs", json={"project": "gpt", "run": "run"})
        process.terminate()
        assert ended(process)[0] == 0
        again = serve("--port", "0", "--dir", "data")
        url = url_of(again, tmp_path / "data", wait_until)
        assert [run["run"] for run in httpx.get(f"{url}/v1/runs").json()] == ["run"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_asked(running: tuple[subprocess.Popen[str], str], number: int) -> None:
    process, url = running
    with httpx.stream("GET", f"{url}/v1/stream") as stream:
        lines = stream.iter_lines()
        next(lines)
        process.send_signal(number)
        code, told = ended(process)
    assert code == 0
    assert told == f"trimtab: the collector is at {url}, its data in data\n"


def test_a_full_disk_takes_nothing_that_is_not_durable_and_then_goes_on(
    running: tuple[subprocess.Popen[str], str], wait_until: Wait
) -> None:
    """The kernel refuses to let its files grow, as a full disk does; then it lets them again."""
    process, url = running
    with httpx.Client(base_url=url, timeout=30) as http:
        http.post("/v1/runs", json={"project": "gpt", "run": "run"})
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1_000_000, hard))
        acknowledged, refused = [], None
        for seq in range(1000):
            answer = send(http, seq)
            if answer.status_code != 200:
                refused = answer
                break
            acknowledged.append(seq)
        assert refused is not None, "the limit was never met"
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["remedy"]
        assert http.get("/readyz").status_code == 503
        assert http.get("/healthz").status_code == 200

        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        wait_until(lambda: send(http, 5000).status_code == 200)
        assert http.get("/readyz").status_code == 200
        series = http.get("/v1/runs/run/series?metric=loss&points=100000").json()
        assert series["step"] == [*acknowledged, 5000]
        assert http.get("/v1/runs/run").json()["last_step"] == 5000


def send(http: httpx.Client, seq: int) -> httpx.Response:
    body = {
        "rank": 0,
        "seq": seq,
        "step": [seq],
        "time": [float(seq)],
        "metrics": {"loss": [1.0]},
        "events": [{"kind": "note", "time": 1.0, "text": "x" * 20_000}],
    }
    return http.post("/v1/runs/run/batches", content=json.dumps(body), headers={"Content-Type": wire.JSON})


class TestEmbedded:
    def test_a_job_starts_it_and_it_ends_by_itself(self, tmp_path: Path, wait_until: Wait) -> None:
        folder = tmp_path / "data"
        folder.mkdir()
        settings = tmp_path / "trimtab.toml"
        settings.write_text("[server]\nidle_exit_s = 0.1\n")
        command = [*SERVE, "--embedded", "--config", str(settings)]
        url = start_or_join(folder, command)
        assert httpx.get(f"{url}/healthz", timeout=PATIENCE_S).json() == {"status": "ok"}
        assert start_or_join(folder, command) == url
        address = read_address(folder)
        assert address is not None
        wait_until(lambda: is_gone(address.pid))
        assert (folder / "collector.log").read_text() == ""

    def test_another_is_started_where_one_was_killed(self, tmp_path: Path, wait_until: Wait) -> None:
        folder = tmp_path / "data"
        command = [*SERVE, "--embedded"]
        first = start_or_join(folder, command)
        httpx.post(f"{first}/v1/runs", json={"project": "gpt", "run": "run"}, timeout=PATIENCE_S)
        killed = read_address(folder)
        assert killed is not None
        os.kill(killed.pid, signal.SIGKILL)
        wait_until(lambda: is_gone(killed.pid))
        second = start_or_join(folder, command)
        runs = httpx.get(f"{second}/v1/runs", timeout=PATIENCE_S).json()
        assert [run["run"] for run in runs] == ["run"]
        alive = read_address(folder)
        assert alive is not None
        os.kill(alive.pid, signal.SIGTERM)
        wait_until(lambda: is_gone(alive.pid))


def is_gone(pid: int) -> bool:
    """Whether the process, a child of ours or not, is no more; a dead child is waited for."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not Path(f"/proc/{pid}").exists()
