"""Rows of processes that died: brought in once, through the same door, whoever their run is."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

import httpx

from trimtab import wire
from trimtab.identity import this_process
from trimtab.outbound.process_dir import ProcessDir
from trimtab.outbound.spool import FileSpool, SpoolRecord
from trimtab_monitor.testing import RunningCollector

Wait = Callable[[Callable[[], object]], None]


def leave_behind(folder: Path, run: str, bodies: list[bytes], registration: dict[str, object]) -> Path:
    """What a process leaves that spooled batches and was killed."""
    identity = this_process(run, attempt=0, rank=0, registration=registration, url=None)
    made = ProcessDir.create(folder / "spool", identity)
    spool = FileSpool(made.path, 2**20)
    for seq, body in enumerate(bodies):
        spool.append(SpoolRecord(attempt=0, seq=seq, rows=1, ring_end=0, body=body))
    made.release()
    return made.path


def row(step: int) -> bytes:
    column = array("d", [float(step)])
    return wire.encode(
        wire.Batch(rank=0, seq=step - 1, step=array("q", [step]), time=column, metrics={"loss": column})
    )


def test_they_are_brought_in_once(tmp_path: Path, wait_until: Wait) -> None:
    left = leave_behind(tmp_path, "dead", [row(1), row(2)], {"project": "gpt", "total_steps": 10})
    with RunningCollector(tmp_path, embedded=True) as running, httpx.Client(base_url=running.url) as http:
        wait_until(lambda: not left.exists())
        told = http.get("/v1/runs/dead").json()
        assert (told["project"], told["total_steps"], told["last_step"]) == ("gpt", 10, 2)
        headers = {"Content-Type": wire.MSGPACK}
        again = http.post("/v1/runs/dead/batches", content=row(2), headers=headers)
        assert again.json()["ack"] == 1
        series = http.get("/v1/runs/dead/series?metric=loss&attempt=all").json()
        assert series["step"] == [1, 2]


def test_what_cannot_be_read_is_kept_aside_and_the_rest_is_not_lost(tmp_path: Path, wait_until: Wait) -> None:
    left = leave_behind(tmp_path, "dead", [b"garbage", row(2)], {"project": "gpt"})
    with RunningCollector(tmp_path, embedded=True) as running, httpx.Client(base_url=running.url) as http:
        wait_until(lambda: not left.exists())
        assert http.get("/v1/runs/dead").json()["last_step"] == 2
    aside = tmp_path / "spool" / "rejected" / "dead.r0.0.0.msgpack"
    assert aside.read_bytes() == b"garbage"


def test_a_registration_that_cannot_be_read_loses_no_rows(tmp_path: Path, wait_until: Wait) -> None:
    left = leave_behind(tmp_path, "dead", [row(1)], {"world_size": "many"})
    with RunningCollector(tmp_path, embedded=True) as running, httpx.Client(base_url=running.url) as http:
        wait_until(lambda: not left.exists())
        assert http.get("/v1/runs/dead").json()["last_step"] == 1
