"""However a process ends, what its steps recorded arrives once, and the way it ended is told."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.guard import Tally
from trimtab.identity import RunIdentity
from trimtab.outbound.client import Client
from trimtab.outbound.leftovers import Leftovers
from trimtab.outbound.process_dir import ProcessDir, folders
from trimtab.outbound.recovery import NotDeliveredError, sweep
from trimtab.outbound.rejected import Rejected
from trimtab.outbound.spool import SpoolRecord
from trimtab.testing import CollectorDouble, InMemoryTransport, RecordingCollector

NOWHERE = "http://127.0.0.1:9"

STEPS = """
import os, struct, sys, time
import trimtab
returned = os.open("returned", os.O_RDWR | os.O_CREAT)
watch = trimtab.watch(project="killed")
print(watch.run, flush=True)
while True:
    result = watch.step(loss=1.0 / (watch.step_number + 1), grad_norm=1.0, lr=0.1)
    os.pwrite(returned, struct.pack("=q", result.step), 0)
"""


def job(program: str, url: str, cwd: Path, **more: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    environ |= {"TRIMTAB_DIR": str(cwd / "home"), "TRIMTAB_URL": url, **more}
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=cwd, env=environ, stdout=subprocess.PIPE, text=True
    )


def run_to_end(program: str, url: str, cwd: Path) -> tuple[int, str]:
    with job(program, url, cwd) as process:
        out, _ = process.communicate(timeout=60)
    return process.returncode, out


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def returned(cwd: Path) -> int:
    return int.from_bytes((cwd / "returned").read_bytes(), sys.byteorder)


def leftovers(root: Path, collector: CollectorDouble) -> Leftovers:
    client = Client(InMemoryTransport(collector))
    return Leftovers(root, client, NOWHERE, Rejected(root, Tally()), lambda _: client)


def kill_after(seconds: float, url: str, cwd: Path, **more: str) -> str:
    with job(STEPS, url, cwd, **more) as process:
        run = first_line(process)
        wait_for((cwd / "returned").exists)
        time.sleep(seconds)
        process.kill()
    return run


def rings_in_memory(run: str) -> list[Path]:
    return list(Path("/dev/shm").glob(f"trimtab-{run}*"))


def check_exactly_once(collector: CollectorDouble, run: str, last: int) -> None:
    """No step that returned is missing, none is there twice; the one under way may be there or not."""
    steps = collector.rows(run)
    assert steps == list(range(1, len(steps) + 1))
    dropped = sum(event["count"] for event in collector.events("samples_dropped", run))
    assert last <= len(steps) + dropped <= last + 1
    assert collector.column("loss", run) == [1.0 / step for step in steps]


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_job_with_no_collector_loses_no_step_that_returned(tmp_path: Path, seed: int) -> None:
    run = kill_after(random.Random(seed).uniform(0.0, 2.5), NOWHERE, tmp_path)
    collector = CollectorDouble()
    done = leftovers(tmp_path / "home" / "spool-remote", collector).sweep()
    check_exactly_once(collector, run, returned(tmp_path))
    assert (done.processes, done.rows) == (1, len(collector.rows(run)))
    assert [event["kind"] for event in collector.events(run=run)][-1] == "process_died"
    assert folders(tmp_path / "home" / "spool-remote") == []
    assert rings_in_memory(run) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_job_killed_while_it_sends_loses_and_doubles_nothing(
    tmp_path: Path, collector: RecordingCollector, seed: int
) -> None:
    run = kill_after(random.Random(seed).uniform(0.0, 2.5), collector.url, tmp_path)
    root = tmp_path / "home" / "spool-remote"
    client = Client(InMemoryTransport(collector))
    Leftovers(root, client, collector.url, Rejected(root, Tally()), lambda _: client).sweep()
    check_exactly_once(collector, run, returned(tmp_path))
    assert len(collector.events("process_died", run)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_job_killed_while_its_ring_grows_loses_nothing_but_what_it_counts(
    tmp_path: Path, seed: int
) -> None:
    """It begins with a ring for some hundred steps, and is in its third within a moment."""
    seconds = random.Random(seed).uniform(0.0, 0.3)
    run = kill_after(seconds, NOWHERE, tmp_path, TRIMTAB_RING_BYTES=str(64 * 1024))
    collector = CollectorDouble()
    leftovers(tmp_path / "home" / "spool-remote", collector).sweep()
    steps = collector.rows(run)
    dropped = sum(event["count"] for event in collector.events("samples_dropped", run))
    assert steps == sorted(set(steps))
    assert returned(tmp_path) <= len(steps) + dropped <= returned(tmp_path) + 1
    assert rings_in_memory(run) == []


def test_a_sweep_that_is_cut_off_at_any_batch_is_gone_on_with(tmp_path: Path) -> None:
    run = kill_after(1.5, NOWHERE, tmp_path)
    collector = CollectorDouble()
    collector.registrations[run] = {}
    client = Client(InMemoryTransport(collector))
    delivered = 0

    def deliver(identity: RunIdentity, record: SpoolRecord) -> None:
        """Deliver one batch further each time; the answer to it is lost."""
        nonlocal delivered
        client.send(identity.run, record)
        if len(collector.received) > delivered:
            delivered = len(collector.received)
            raise NotDeliveredError("cut off")

    root = tmp_path / "home" / "spool-remote"
    for _ in range(200):
        if sweep(root, deliver).processes:
            break
    check_exactly_once(collector, run, returned(tmp_path))
    assert len(collector.events("process_died", run)) == 1
    assert folders(root) == []


def test_the_next_job_delivers_what_the_last_one_left(tmp_path: Path, collector: RecordingCollector) -> None:
    run = kill_after(1.2, NOWHERE, tmp_path)
    root = tmp_path / "home" / "spool-remote"
    folder = folders(root)[0]
    meta = (folder / "meta.jsonl").read_text()
    (folder / "meta.jsonl").write_text(meta.replace(NOWHERE, collector.url))
    program = (
        "import pathlib, trimtab, time\nwith trimtab.watch(project='next') as watch:\n"
        "    while not pathlib.Path('enough').exists():\n"
        "        watch.step(loss=1.0)\n        time.sleep(0.01)"
    )
    with job(program, collector.url, tmp_path) as process:
        collector.wait_until(lambda got: bool(got.events("process_died", run)), 60)
        wait_for(lambda: len(folders(root)) < 2)
        (tmp_path / "enough").touch()
        assert process.wait(30) == 0
    check_exactly_once(collector, run, returned(tmp_path))
    assert folders(root) == []


def test_a_live_job_is_left_alone_and_two_sweepers_share_the_dead(tmp_path: Path) -> None:
    with job(STEPS, NOWHERE, tmp_path) as process:
        first_line(process)
        collector = CollectorDouble()
        root = tmp_path / "home" / "spool-remote"
        assert leftovers(root, collector).sweep().processes == 0
        process.kill()
        process.wait()
        held = ProcessDir.take(folders(root)[0])
        assert held is not None
        assert leftovers(root, collector).sweep().processes == 0
        held.release()
        assert leftovers(root, collector).sweep().processes == 1


def test_sigterm_ends_the_run_as_failed_and_the_exit_status_stays(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    with job(STEPS, collector.url, tmp_path) as process:
        run = first_line(process)
        wait_for((tmp_path / "returned").exists)
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM
    check_exactly_once(collector, run, returned(tmp_path))
    (end,) = collector.events("run_end", run)
    assert (end["status"], end["reason"]) == ("failed", "SIGTERM")


def test_a_handler_of_the_users_is_left_alone(tmp_path: Path, collector: RecordingCollector) -> None:
    program = """
import os, signal, sys, trimtab
def mine(number, frame):
    sys.exit(7)
signal.signal(signal.SIGTERM, mine)
watch = trimtab.watch(project="p")
watch.step(loss=1.0)
assert signal.getsignal(signal.SIGTERM) is mine
os.kill(os.getpid(), signal.SIGTERM)
"""
    assert run_to_end(program, collector.url, tmp_path)[0] == 7
    assert collector.rows() == [1]
    assert collector.events("run_end")[0]["status"] == "finished"


@pytest.mark.parametrize(
    ("ending", "code", "status"),
    [("", 0, "finished"), ("raise ZeroDivisionError('boom')", 1, "failed"), ("sys.exit(3)", 3, "finished")],
)
def test_a_job_that_does_not_close_is_closed_at_exit(
    tmp_path: Path, collector: RecordingCollector, ending: str, code: int, status: str
) -> None:
    program = (
        "import sys, trimtab\nwatch = trimtab.watch(project='p')\n"
        f"for _ in range(100):\n    watch.step(loss=1.0)\n{ending}"
    )
    assert run_to_end(program, collector.url, tmp_path)[0] == code
    assert collector.rows() == list(range(1, 101))
    (end,) = collector.events("run_end")
    assert end["status"] == status
    assert (
        end["reason"]
        == {
            "finished": "the process ended without close()",
            "failed": "ZeroDivisionError: boom",
        }[status]
    )


def test_with_the_collector_away_a_job_ends_soon_and_says_where_its_samples_are(tmp_path: Path) -> None:
    program = (
        "import trimtab\nwatch = trimtab.watch(project='p')\nwatch.step(loss=1.0)\nprint(watch.run)\n"
        "import time\nstarted = time.monotonic()\nwatch.close()\nassert time.monotonic() - started < 15"
    )
    code, out = run_to_end(program, NOWHERE, tmp_path)
    assert code == 0
    collector = CollectorDouble()
    leftovers(tmp_path / "home" / "spool-remote", collector).sweep()
    assert collector.rows(out.strip()) == [1]
    assert [event["kind"] for event in collector.events()] == ["run_start", "run_end"]


def test_a_forked_child_records_nothing_of_its_parents(tmp_path: Path, collector: RecordingCollector) -> None:
    program = """
import os, sys, trimtab
watch = trimtab.watch(project="parent")
for _ in range(50):
    watch.step(loss=1.0)
child = os.fork()
if child == 0:
    for _ in range(1000):
        watch.step(loss=9.0)
    watch.close()
    with trimtab.watch(project="child") as own:
        own.step(loss=2.0)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
for _ in range(50):
    watch.step(loss=1.0)
watch.close()
print(watch.run)
"""
    code, out = run_to_end(program, collector.url, tmp_path)
    assert code == 0
    parent = out.split()[-1]
    assert collector.rows(parent) == list(range(1, 101))
    assert set(collector.column("loss", parent)) == {1.0}
    (child,) = set(collector.registrations) - {parent}
    assert collector.column("loss", child) == [2.0]


def test_a_child_that_outlives_its_killed_parent_does_not_keep_its_samples_back(tmp_path: Path) -> None:
    program = """
import os, time, trimtab
watch = trimtab.watch(project="p")
for _ in range(10):
    watch.step(loss=1.0)
if os.fork() == 0:
    print(os.getpid(), flush=True)  # by now it has let go of what is its parent's
time.sleep(60)
"""
    with job(program, NOWHERE, tmp_path) as process:
        child = int(first_line(process))
        process.kill()
        process.wait()
        try:
            collector = CollectorDouble()
            assert leftovers(tmp_path / "home" / "spool-remote", collector).sweep().rows == 10
        finally:
            os.kill(child, signal.SIGKILL)
