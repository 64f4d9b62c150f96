"""`trimtab tail` as people call it, beside a process that writes."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torch.utils.tensorboard import SummaryWriter
from typer.testing import CliRunner

from trimtab.testing import CollectorDouble, RecordingCollector
from trimtab_monitor.cli.root import app
from trimtab_monitor.testing.running import RunningCollector

COMMAND = [sys.executable, "-m", "trimtab_monitor", "tail"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def collector() -> Iterator[RecordingCollector]:
    with RecordingCollector().running() as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the command; it is ended when the test is done."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path) -> subprocess.Popen[str]:
        environ = {**os.environ, "TRIMTAB_DIR": str(tmp_path / "home")}
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environ,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], number: int | None = None) -> tuple[int, str, str]:
    """Wait for the end, asked for by a signal or not: exit code, output and errors."""
    if number is not None:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def rows_of(count: int) -> Callable[[CollectorDouble], bool]:
    return lambda collector: len(collector.rows()) >= count


def test_a_writer_of_tensorboard_is_followed_step_by_step(
    tmp_path: Path, collector: RecordingCollector, start: Start
) -> None:
    folder = tmp_path / "runs" / "exp1"
    process = start(folder, "--url", collector.url)
    assert process.stderr is not None
    assert "is not there yet: waits for it" in process.stderr.readline()
    writer: Any = SummaryWriter(str(folder))
    for step in range(1, 61):
        writer.add_scalar("train/loss", math.nan if step == 30 else 4.0 / step, step, walltime=1.7e9 + step)
        writer.add_scalar("train/grad_norm", 0.5, step, walltime=1.7e9 + step)
        if step % 20 == 0:
            writer.flush()
            collector.wait_until(rows_of(step - 1))
    writer.close()
    collector.wait_until(rows_of(60))
    code, out, _ = ended(process, signal.SIGINT)
    assert (code, out.splitlines()[-1].partition(";")[0]) == (0, f"{folder}: 60 rows sent, no incident")
    assert collector.rows() == list(range(1, 61))
    losses = collector.column("loss")
    assert math.isnan(losses.pop(29))
    assert losses == pytest.approx([4.0 / step for step in range(1, 61) if step != 30])
    assert collector.column("grad_norm") == [0.5] * 60
    assert [when for batch in collector.batches() for when in batch.time] == [1.7e9 + i for i in range(1, 61)]
    ((run, registration),) = collector.registrations.items()
    assert run.startswith("runs-")
    assert (registration["project"], registration["name"]) == ("runs", "exp1")
    assert [event["status"] for event in collector.events("run_end")] == ["finished"]
    assert not [device for batch in collector.batches() for device in batch.devices]


def test_a_second_start_goes_on_with_the_same_run(
    tmp_path: Path, collector: RecordingCollector, start: Start
) -> None:
    log = tmp_path / "train.log"
    line = "iter {0}: loss {1}, time 12.00ms, mfu 3.00%\n"
    log.write_text("".join(line.format(step, 2.5) for step in range(1, 51)))
    assert ended(start(log, "--url", collector.url, "--once"))[0] == 1  # a double tells of no runs
    with log.open("a") as file:
        file.write("".join(line.format(step, 2.25) for step in range(51, 61)) + "iter 61: lo")
    ended(start(log, "--url", collector.url, "--once"))
    assert len(collector.registrations) == 1
    assert collector.rows(attempt=0) == list(range(1, 51))
    assert collector.rows(attempt=1) == list(range(51, 61))
    assert collector.column("loss") == [2.5] * 50 + [2.25] * 10
    assert collector.column("step_seconds") == [0.012] * 60


def test_a_second_start_goes_on_in_a_file_that_took_the_place_of_another(
    tmp_path: Path, collector: RecordingCollector, start: Start
) -> None:
    table = tmp_path / "metrics.csv"
    table.write_text("step,loss\n" + "".join(f"{step},2.5\n" for step in range(1, 101)))
    process = start(table, "--url", collector.url)
    collector.wait_until(rows_of(100))
    table.rename(tmp_path / "metrics.csv.1")
    table.write_text("step,loss\n" + "".join(f"{step},2.25\n" for step in range(1, 31)) + "31,2.")
    collector.wait_until(rows_of(130))
    assert ended(process, signal.SIGTERM)[0] == 0
    table.write_text("step,loss\n" + "".join(f"{step},2.25\n" for step in range(1, 61)))
    ended(start(table, "--url", collector.url, "--once"))
    assert len(collector.registrations) == 1
    assert [collector.rows(attempt=attempt) for attempt in range(3)] == [
        list(range(1, 101)),
        list(range(1, 31)),
        list(range(31, 61)),
    ]


def test_a_log_that_cannot_be_read_for_a_while_is_followed_on(
    tmp_path: Path, collector: RecordingCollector, start: Start
) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"step {step} loss 2.5\n" for step in range(1, 11)))
    process = start(log, "--url", collector.url, "--format", "json")
    collector.wait_until(rows_of(10))
    log.unlink()
    log.mkdir()
    assert process.stdout is not None
    assert any("is a directory: tries again" in line for line in process.stdout)
    log.rmdir()
    log.write_text("".join(f"step {step} loss 2.5\n" for step in range(11, 21)))
    collector.wait_until(rows_of(20))
    ended(process, signal.SIGINT)
    assert collector.rows() == list(range(1, 21))


def test_incidents_are_told_as_they_come(tmp_path: Path, start: Start) -> None:
    log = tmp_path / "exp7" / "log.jsonl"
    log.parent.mkdir()
    log.write_text("".join(json.dumps({"step": step, "loss": 2.5}) + "\n" for step in range(1, 301)))
    with RunningCollector(tmp_path / "collector") as real:
        process = start(log, "--url", real.url, "--format", "json")
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["event"], first["file"], first["again"]) == ("following", str(log), False)
        with log.open("a") as file:
            file.write('{"step": 301, "loss": "nan"}\n')
        written = time.monotonic()
        told = json.loads(process.stdout.readline())
        assert time.monotonic() - written < 30
        assert (told["event"], told["run"]) == ("incident", first["run"])
        assert (told["incident"]["kind"], told["incident"]["detected_step"]) == ("non_finite", 301)
        code, out, err = ended(process, signal.SIGINT)
        assert (code, err) == (0, "")
        end = json.loads(out.splitlines()[-1])
        assert (end["event"], end["rows"], end["incidents"]) == ("end", 301, 1)


def test_once_reads_what_is_there_and_says_what_it_found(tmp_path: Path, start: Start) -> None:
    table = tmp_path / "exp8" / "metrics.csv"
    table.parent.mkdir()
    rows = [f"{step},{'inf' if step == 150 else 2.5},0.001" for step in range(1, 201)]
    table.write_text("step,loss,lr\n" + "\n".join(rows) + "\n")
    with RunningCollector(tmp_path / "collector") as real:
        code, out, err = ended(
            start(table, "--url", real.url, "--once", "--project", "gpt", "--name", "first")
        )
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0].startswith(f"{table}: is run gpt-")
        assert [line for line in lines if "non_finite" in line and "step 150" in line]
        assert lines[-1].startswith(f"{table}: 200 rows sent, 1 incident; run gpt-")
        again = ended(start(table, "--url", real.url, "--until-idle", "0.5"))
        assert again[0] == 0
        assert again[1].startswith(f"{table}: nothing new; run gpt-")


def test_without_an_address_a_collector_is_started_here(tmp_path: Path, start: Start) -> None:
    table = tmp_path / "metrics.csv"
    table.write_text("step,loss\n" + "".join(f"{step},2.5\n" for step in range(1, 51)))
    code, out, _ = ended(start(table, "--once"))
    address = json.loads((tmp_path / "home" / "collector.json").read_text())
    os.kill(address["pid"], signal.SIGTERM)
    assert code == 0
    assert address["url"] in out
    assert "50 rows sent, no incident" in out


@pytest.mark.parametrize(
    ("name", "text", "arguments", "told"),
    [
        ("run.csv.gz", "x", (), "is compressed, and cannot be followed"),
        ("run.csv", "step,accuracy\n1,2\n", (), "no column loss or train_loss"),
        ("run.log", "x", ("--pattern", "("), "give a regular expression"),
        ("missing/run.log", None, (), "there is nothing to read"),
        ("run.log", "x", ("--url", "nowhere"), "give the collector's address"),
    ],
)
def test_wrong_input_ends_with_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    text: str | None,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("TRIMTAB_DIR", str(tmp_path / "home"))
    done = CliRunner().invoke(app, ["tail", str(path), "--once", *arguments])
    assert (done.exit_code, told in done.stderr, done.stdout) == (2, True, "")
