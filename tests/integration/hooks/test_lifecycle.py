"""What jobs do to a process, forks, threads, interrupts, other programs: none hangs, none loses a step."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.guard import Tally
from trimtab.outbound.client import Client
from trimtab.outbound.leftovers import Leftovers
from trimtab.outbound.process_dir import folders
from trimtab.outbound.rejected import Rejected
from trimtab.testing import InMemoryTransport, RecordingCollector

pytestmark = pytest.mark.timeout(120)

ENDS_SECONDS = 40.0


def run(program: str, url: str, cwd: Path, *flags: str) -> tuple[int, str, str]:
    """Run a program as a script, which spawned children import anew."""
    script = cwd / "job.py"
    script.write_text(program)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    environ |= {"TRIMTAB_DIR": str(cwd / "home"), "TRIMTAB_URL": url}
    done = subprocess.run(
        [sys.executable, *flags, str(script)],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=ENDS_SECONDS,
    )
    return done.returncode, done.stdout, done.stderr


def check_complete(collector: RecordingCollector, steps: int) -> None:
    """One run, all its steps once and in order, and told to have ended."""
    assert len(collector.registrations) == 1
    assert collector.rows() == list(range(1, steps + 1))
    assert len(collector.events("run_end")) == 1


def test_children_of_every_kind_are_inert_and_the_parent_goes_on(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    program = """
import multiprocessing, os, subprocess, sys, trimtab

def child(watch=None):
    return os.getpid()

if __name__ == "__main__":
    watch = trimtab.watch(project="p")
    step = lambda: [watch.step(loss=1.0) for _ in range(10)]
    step()
    pid = os.fork()
    if pid == 0:
        step()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    step()
    pid = os.fork()
    if pid == 0:
        watch.step(loss=1.0)
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    step()
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            pool.apply(child)
        step()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    pid = os.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", "pass"])
    assert os.waitpid(pid, 0)[1] == 0
    step()
    watch.close()
"""
    code, _, err = run(program, collector.url, tmp_path)
    assert code == 0, err
    check_complete(collector, 60)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_that_stay_neither_send_nor_hang(
    tmp_path: Path, collector: RecordingCollector, method: str
) -> None:
    program = f"""
import torch, trimtab
from torch.utils.data import DataLoader, TensorDataset

if __name__ == "__main__":
    with trimtab.watch(project="p") as watch:
        loader = DataLoader(
            TensorDataset(torch.zeros(32, 2)), batch_size=4, num_workers=1,
            persistent_workers=True, multiprocessing_context={method!r},
        )
        for epoch in range(2):
            for batch in loader:
                watch.step(loss=1.0)
"""
    code, _, err = run(program, collector.url, tmp_path)
    assert code == 0, err
    check_complete(collector, 16)


def test_a_cell_that_is_run_again_in_a_running_event_loop(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    program = """
import asyncio, trimtab

class Model:
    def parameters(self):
        return iter(())
    def state_dict(self):
        return {}

async def notebook():
    model = Model()
    for cell in range(2):
        watch = trimtab.watch(model, project="p")
        for _ in range(5):
            watch.step(loss=1.0)
            await asyncio.sleep(0)
    watch.close()

asyncio.run(notebook())
"""
    code, _, err = run(program, collector.url, tmp_path)
    assert code == 0, err
    runs = list(collector.registrations)
    assert [collector.rows(run) for run in runs] == [[1, 2, 3, 4, 5]] * 2
    reasons = {event["reason"] for event in collector.events("run_end")}
    assert reasons == {"watch() was called again", None}


def test_steps_on_a_daemon_thread_that_the_end_of_the_program_stops(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    program = """
import threading, time, trimtab
watch = trimtab.watch(project="p")
def train():
    while True:
        watch.step(loss=1.0)
        time.sleep(0.001)
threading.Thread(target=train, daemon=True).start()
time.sleep(0.3)
"""
    code, _, err = run(program, collector.url, tmp_path)
    assert (code, "Traceback" in err) == (0, False), err
    steps = collector.rows()
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 10
    assert len(collector.events("run_end")) == 1


def test_an_exit_on_another_thread_ends_that_thread_only(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    program = """
import sys, threading, trimtab
watch = trimtab.watch(project="p")
def train():
    watch.step(loss=1.0)
    sys.exit(3)
thread = threading.Thread(target=train)
thread.start()
thread.join()
watch.step(loss=1.0)
watch.close()
"""
    code, _, err = run(program, collector.url, tmp_path)
    assert code == 0, err
    check_complete(collector, 2)


def test_interrupts_inside_step_leave_the_ring_whole(tmp_path: Path, collector: RecordingCollector) -> None:
    """A timer raises KeyboardInterrupt wherever the loop is, two hundred times; each step is there or not."""
    program = """
import signal, threading, trimtab
watch = trimtab.watch(project="p")
watch.step(loss=0.0)
left = 200

def interrupt(number, frame):
    global left
    left -= 1
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
while left > 0:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0007)
        while True:
            watch.step(loss=1.0, grad_norm=1.0, **{f"m{watch.step_number % 7}": 2.0})
    except KeyboardInterrupt:
        pass
other = threading.Thread(target=watch.step, args=(1.0,), daemon=True)
other.start()
other.join(20.0)
assert not other.is_alive(), "another thread's step waits for one that was interrupted"
watch.close()
print(watch.step_number)
"""
    code, out, err = run(program, collector.url, tmp_path)
    assert code == 0, err
    steps = collector.rows()
    assert steps == sorted(set(steps)), "none is doubled or out of order"
    dropped = sum(event["count"] for event in collector.events("samples_dropped"))
    missing = int(out) - len(steps) - dropped
    assert 0 <= missing <= 200, "at most the step that an interrupt struck is missing"
    assert collector.events("hook_error") == []
    assert len(collector.events("run_end")) == 1


def test_an_interrupt_while_another_thread_is_in_step_harms_neither(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    program = """
import signal, threading, trimtab
watch = trimtab.watch(project="p")
inside, leave = threading.Event(), threading.Event()

class Slow:
    def __float__(self):
        inside.set()
        leave.wait(30.0)
        return 2.0

other = threading.Thread(target=watch.step, args=(Slow(),))
other.start()
inside.wait(30.0)
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    watch.step(loss=1.0)
except KeyboardInterrupt:
    print("interrupted")
leave.set()
other.join()
watch.step(loss=3.0)
watch.close()
"""
    code, out, err = run(program, collector.url, tmp_path)
    assert (code, out.strip()) == (0, "interrupted"), err
    assert collector.column("loss") == [2.0, 3.0]


def test_an_uncaught_interrupt_is_a_failed_run(tmp_path: Path, collector: RecordingCollector) -> None:
    program = """
import os, signal, trimtab
watch = trimtab.watch(project="p")
for number in range(50):
    watch.step(loss=1.0)
os.kill(os.getpid(), signal.SIGINT)
while True:
    watch.step(loss=1.0)
"""
    run(program, collector.url, tmp_path)
    steps = collector.rows()
    assert steps == list(range(1, len(steps) + 1))
    (end,) = collector.events("run_end")
    assert (end["status"], end["reason"]) == ("failed", "KeyboardInterrupt")


def test_a_handler_that_takes_steps_inside_a_step(tmp_path: Path, collector: RecordingCollector) -> None:
    program = """
import signal, trimtab
watch = trimtab.watch(project="p")
calls = 0
def step(*_):
    global calls
    watch.step(loss=2.0)
    calls += 1
signal.signal(signal.SIGALRM, step)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for _ in range(50_000):
    watch.step(loss=1.0)
signal.setitimer(signal.ITIMER_REAL, 0)
watch.close()
print(50_000 + calls)
"""
    code, out, err = run(program, collector.url, tmp_path)
    assert code == 0, err
    dropped = sum(event["count"] for event in collector.events("samples_dropped"))
    assert len(collector.rows()) + dropped == int(out)
    assert collector.events("hook_error") == []


@pytest.mark.parametrize(
    "ending", ["os._exit(0)", "os.execv(sys.executable, [sys.executable, '-c', 'pass'])"]
)
def test_a_process_that_leaves_without_a_word_leaves_its_steps(
    tmp_path: Path, collector: RecordingCollector, ending: str
) -> None:
    program = (
        "import os, sys, trimtab\nwatch = trimtab.watch(project='p')\n"
        f"for _ in range(100):\n    watch.step(loss=1.0)\n{ending}"
    )
    code, _, err = run(program, collector.url, tmp_path)
    assert code == 0, err
    root = tmp_path / "home" / "spool-remote"
    client = Client(InMemoryTransport(collector))
    Leftovers(root, client, collector.url, Rejected(root, Tally()), lambda _: client).sweep()
    assert collector.rows() == list(range(1, 101))
    assert len(collector.events("process_died")) == 1
    assert folders(root) == []


def test_once_watch_has_returned_no_module_is_imported_by_its_threads(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    """An import on a thread holds the interpreter's lock for milliseconds at a time."""
    program = """
import sys, time, trimtab
watch = trimtab.watch(project="p")
before = set(sys.modules)
for _ in range(30):
    watch.step(loss=1.0, other=2.0)
    time.sleep(0.05)
print(sorted(set(sys.modules) - before))
watch.close()
"""
    started = time.monotonic()
    code, out, err = run(program, collector.url, tmp_path)
    assert code == 0, err
    assert collector.rows(), f"something was sent within {time.monotonic() - started:.1f} s"
    assert out.strip() == "[]"
