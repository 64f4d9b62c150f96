"""A run that another process trains, sent with the times of its own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from trimtab.job_settings import JobSettings
from trimtab.relay import MOST_NAMES, Relay, Relayed
from trimtab.testing import RecordingCollector
from trimtab.vocabulary import is_measured


@pytest.fixture
def settings(home: Path, collector: RecordingCollector) -> JobSettings:
    """A ring that holds a few hundred rows."""
    return JobSettings(url=collector.url, folder=home, ring_bytes=64 * 1024)


def test_rows_come_whole_and_with_their_times_however_many(
    settings: JobSettings, collector: RecordingCollector
) -> None:
    relay = Relay(Relayed("run-1", "gpt", "first", {"log": "train.log"}), settings)
    relay.begin(0, 1.7e9)
    for step in range(1, 5001):
        loss = math.nan if step == 2000 else 1.0 / step
        relay.row(step, 1.7e9 + step, {"loss": loss, "mfu": 0.5} if step % 2 else {"loss": loss})
    relay.close("done", 10.0)
    assert collector.registrations["run-1"] == {
        "run": "run-1",
        "project": "gpt",
        "name": "first",
        "world_size": 1,
        "config": {"log": "train.log"},
    }
    assert collector.rows() == list(range(1, 5001))
    assert [at for batch in collector.batches() for at in batch.time] == [1.7e9 + i for i in range(1, 5001)]
    assert math.isnan(collector.column("loss")[1999])
    assert [is_measured(value) for value in collector.column("mfu")[:4]] == [True, False, True, False]
    assert collector.events("samples_dropped") == []
    start, end = collector.events()
    assert (start["kind"], start["time"], end["kind"], end["status"]) == (
        "run_start",
        1.7e9,
        "run_end",
        "finished",
    )


def test_a_run_that_is_relayed_again_takes_an_attempt_of_its_own(
    settings: JobSettings, collector: RecordingCollector
) -> None:
    for first in (1, 51):
        relay = Relay(Relayed("run-1", "gpt"), settings)
        relay.begin(first - 1, 1.7e9)
        for step in range(first, first + 50):
            relay.row(step, 1.7e9 + step, {"loss": 2.5})
        relay.begin_attempt()
        relay.row(first, 1.8e9, {"loss": 2.25})
        relay.close("done", 10.0)
    assert [collector.rows(attempt=attempt) for attempt in range(4)] == [
        list(range(1, 51)),
        [1],
        list(range(51, 101)),
        [51],
    ]


def test_names_are_bounded(settings: JobSettings, collector: RecordingCollector) -> None:
    relay = Relay(Relayed("run-1", "gpt"), settings)
    for step in range(3):
        names = range(step * 600, step * 600 + 600)
        relay.row(step, 1.7e9, {"loss": 2.5} | {f"m{number}": 1.0 for number in names})
    relay.close("done", 10.0)
    every = {name for batch in collector.batches() for name in batch.metrics}
    assert len(every) == MOST_NAMES + 1
    assert collector.column("loss") == [2.5] * 3
