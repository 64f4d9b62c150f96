"""The collector is killed again and again while a run is sent to it: nothing is lost, nothing counted twice.

A run with a NaN, two spikes and a rollback, with device readings, is sent batch by batch, each again and
again until it is acknowledged, as the hooks do it. Meanwhile `trimtab serve` is killed by SIGKILL at random
moments and started again on the same folder. In the end it must know what an undisturbed fold of the same run
knows, and have told people the same.

How often it is killed is `TRIMTAB_TEST_KILLS` (5 times unless set), when is `TRIMTAB_TEST_SEED`.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import pytest

from trimtab import wire
from trimtab_alerts.settings import AlertSettings, ConsoleSettings, WebhookSettings
from trimtab_alerts.testing import Receiver
from trimtab_monitor.ledger.testing import T0, device
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.memory import MemoryStore
from trimtab_monitor.store.sqlite import SqliteStore
from trimtab_monitor.testing import Story, batches_of
from trimtab_monitor.testing.reference import RUN, fold_in_one, outcome, rolled_back

KILLS = int(os.environ.get("TRIMTAB_TEST_KILLS", "5"))
SEED = int(os.environ.get("TRIMTAB_TEST_SEED", "20261122"))
PATIENCE_S = 60.0

T = TypeVar("T")
COUNTS = [0, *itertools.accumulate(100_001 * (second % 5 + 1) for second in range(300))]
"""Millijoules that a device used, by second."""

BEFORE = Story(steps=400, seed=3, spikes=(250,), nans=(120,), rollback="auto")
AFTER = Story(steps=400, seed=4, spikes=(300,))


class Collector:
    """`trimtab serve` on a folder and a port, which is killed by `kill` and started again each time."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.kills = 0
        self._command = [sys.executable, "-m", "trimtab_monitor", "serve", "--dir", str(folder)]
        self._command += ["--port", str(port), "--config", str(folder / "trimtab.toml")]
        self._log = folder / "told.txt"
        self._killer: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._process = self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.spare()
        self._process.kill()
        self._process.wait()

    def spare(self) -> None:
        """Wait until the kill that is under way has been done, and the next collector started."""
        if self._killer is not None:
            self._killer.join()

    def kill_after(self, seconds: float) -> None:
        """Kill it in so many seconds, whatever it does then, and start another."""
        self.spare()
        self._killer = threading.Thread(target=self._kill, args=(seconds,))
        self._killer.start()

    def _kill(self, seconds: float) -> None:
        time.sleep(seconds)
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL, "it had ended by itself"
        self.kills += 1
        self._process = self._start()

    def stop(self) -> None:
        """End it as people do."""
        self._process.terminate()
        assert self._process.wait(PATIENCE_S) == 0

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log)


class Job:
    """Sends as hooks do: in order, each request again until it is answered."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def register(self, run: str = RUN) -> None:
        """Make the run known."""
        self._until_answered("/v1/runs", json={"project": "gpt", "run": run})

    def send(self, batch: wire.Batch, run: str = RUN) -> list[dict[str, Any]]:
        """Send a batch; returns the commands that wait."""
        headers = {"Content-Type": wire.MSGPACK}
        told = self._until_answered(f"/v1/runs/{run}/batches", content=wire.encode(batch), headers=headers)
        assert told["ack"] == batch.seq
        commands: list[dict[str, Any]] = told["commands"]
        return commands

    def heartbeats_until_asked(self, last: wire.Batch) -> list[dict[str, Any]]:
        """Go on with empty batches until the answer to one brings commands."""
        seqs = itertools.count(last.seq + 1)
        deadline = time.monotonic() + PATIENCE_S
        while not (commands := self.send(wire.Batch(rank=0, seq=next(seqs), attempt=last.attempt))):
            assert time.monotonic() < deadline, "the command does not come"
        return commands

    def get(self, path: str) -> Any:
        """What the collector tells."""
        return self._until_answered(path, method="GET")

    def _until_answered(self, path: str, method: str = "POST", **request: Any) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._http.request(method, path, **request)
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the collector does not come back"
                time.sleep(0.02)
                continue
            assert answer.status_code == 200, answer.text
            told: dict[str, Any] = answer.json()
            return told


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def settings(receiver: Receiver, tmp_path: Path) -> Settings:
    """The collector's settings, which `trimtab.toml` in its folder says too."""
    (tmp_path / "trimtab.toml").write_text(
        "[alerts.console]\nenabled = false\n"
        f'[[alerts.webhooks]]\nname = "hook"\nurl = "{receiver.url}"\n'
        "[liveness]\nheartbeat_timeout_s = 600\n"
    )
    hook = WebhookSettings.model_validate({"name": "hook", "url": receiver.url})
    return Settings(alerts=AlertSettings(console=ConsoleSettings(enabled=False), webhooks=(hook,)))


@pytest.mark.timeout(60 + 20 * KILLS)
def test_nothing_is_lost_and_nothing_counted_twice(
    tmp_path: Path, settings: Settings, receiver: Receiver
) -> None:
    rng = random.Random(SEED)
    attempts = rolled_back(BEFORE, AFTER, settings)
    batches = [
        batch
        for number, story in enumerate(attempts)
        for batch in batches_of(story, iter(lambda: rng.randint(1, 20), None), attempt=number)
    ]
    expected = fold_in_one(batches, settings)

    began = time.time()
    with Collector(tmp_path, free_port()) as collector, Job(collector.url) as job:
        job.register()
        for batch in spread(batches, rng, collector):
            commands = job.send(batch)
            if batch.attempt == 0 and batch.step[-1] == BEFORE.steps:
                command = commands or job.heartbeats_until_asked(batch)
                assert command[0]["id"] == expected.views.commands(RUN)[0].id
        collector.spare()
        last = job.get(f"/v1/runs/{RUN}")
        assert (last["last_step"], last["attempt"]) == (batches[-1].step[-1], 1)
        wanted = deliveries_of(expected)
        poll(lambda: wanted <= told_to(receiver))
        collector.stop()

    assert collector.kills == KILLS
    assert told_to(receiver) == wanted
    store = SqliteStore(tmp_path / "trimtab.db")
    assert steps_in(store) == Counter((batch.attempt, step) for batch in batches for step in batch.step)
    assert set(steps_in(store).values()) == {1}
    assert outcome(store) == outcome(expected)
    assert all(
        began <= alert.starts_at <= (alert.ends_at or time.time()) for alert in store.views.alerts(1000)
    )
    assert store.outbox.depth() == 0
    store.close()


@pytest.mark.timeout(60 + 20 * KILLS)
def test_a_device_that_two_runs_hold_is_divided_to_the_microjoule(tmp_path: Path, settings: Settings) -> None:
    """One holds it for 300 s, the other for 150 s of these; batches come in any order of the two."""
    rng = random.Random(SEED)
    with Collector(tmp_path, free_port()) as collector, Job(collector.url) as job:
        for run in ("long", "short"):
            job.register(run)
        for run, batch in spread(halves(rng), rng, collector):
            job.send(batch, run)
        collector.spare()
        told = {run: job.get(f"/v1/runs/{run}/ledger")["energy"] for run in ("long", "short")}
        collector.stop()
    assert collector.kills == KILLS
    half_uj = (COUNTS[250] - COUNTS[100]) * 1000 // 2
    assert told["short"]["joules"] == half_uj / 1e6
    assert told["long"]["joules"] == (COUNTS[300] * 1000 - half_uj) / 1e6
    assert told["short"]["others_joules"] == told["long"]["others_joules"] == half_uj / 1e6


def halves(rng: random.Random) -> list[tuple[str, wire.Batch]]:
    """The readings of both, a second apart, cut and mixed at random; the short one says when it ends."""
    start = time.time() - len(COUNTS) - T0
    left = {"long": list(range(301)), "short": list(range(100, 251))}
    made: list[tuple[str, wire.Batch]] = []
    while left:
        run = rng.choice(sorted(left))
        seconds, left[run] = left[run][:8], left[run][8:]
        reading = device([start + second for second in seconds], counter=[COUNTS[each] for each in seconds])
        end = {"kind": wire.RUN_END, "time": T0 + start + seconds[-1]}
        ended = run == "short" and not left[run]
        made.append((run, wire.Batch(rank=0, seq=len(made), devices=[reading], events=[end] * ended)))
        if not left[run]:
            del left[run]
    return made


def deliveries_of(store: MemoryStore) -> set[str]:
    """Everything that was to be told, by id."""
    ids: set[str] = set()
    while due := store.outbox.due("hook", 1e12, 1000):
        for delivery in due:
            ids.add(delivery.id)
            store.outbox.done(delivery.id)
    return ids


def told_to(receiver: Receiver) -> set[str]:
    """What people were told, by id: a crash between sending and noting it tells it again under the same."""
    return {request.headers["Idempotency-Key"] for request in receiver.received}


def spread(batches: list[T], rng: random.Random, collector: Collector) -> Iterator[T]:
    """The batches, and while they are sent the collector is killed as often as it is to be."""
    kill_at = sorted(rng.sample(range(2, len(batches)), k=min(KILLS, len(batches) - 2)))
    for number, batch in enumerate(batches):
        if number in kill_at:
            collector.kill_after(rng.uniform(0, 0.02))
        yield batch


def steps_in(store: SqliteStore) -> Counter[tuple[int, int]]:
    """How often each step of each attempt is in the log."""
    counts: Counter[tuple[int, int]] = Counter()
    for record in store.log.read_batches(RUN, 0, 0, 1_000_000):
        batch = wire.decode(record.body)
        counts.update((batch.attempt, step) for step in batch.step)
    return counts


def poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
