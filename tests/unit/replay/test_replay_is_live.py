"""The same findings, whether samples come one by one, in batches, or from a file."""

from __future__ import annotations

import csv
import json
import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch.utils.tensorboard import SummaryWriter

from trimtab import wire
from trimtab_monitor.entries import BatchReceived, Registration
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import new_run
from trimtab_monitor.json_out import to_plain
from trimtab_monitor.replay.runner import Options, replay_file
from trimtab_monitor.settings import Settings
from trimtab_monitor.types import Incident

BEGUN = 1_700_000_000.0
SETTINGS = Settings()


@dataclass(frozen=True)
class Row:
    step: int
    attempt: int
    values: dict[str, float]


def rounded(value: float) -> float:
    """As an event file keeps it: in single precision."""
    return array("f", [value])[0]


def story(seed: int) -> list[Row]:
    """A run with whatever goes wrong in runs, which starts again from an earlier step once or twice."""
    rng = random.Random(seed)
    rows: list[Row] = []
    first = 1
    for attempt in range(rng.randint(1, 3)):
        last = first + rng.randint(80, 250)
        trouble = {rng.randint(first, last): rng.choice(["spike", "rise", "nan", "norm"]) for _ in range(4)}
        every = rng.choice([1, 1, 10])
        rows += [Row(step, attempt, _values(rng, step, trouble)) for step in range(first, last, every)]
        first = max(1, rows[-1].step - rng.randint(1, 60))
    return rows


def _values(rng: random.Random, step: int, trouble: dict[int, str]) -> dict[str, float]:
    loss = 2.0 + 2.0 * math.exp(-step / 60) + rng.gauss(0, 0.02)
    norm = 0.5 * rng.lognormvariate(0, 0.15)
    for began, kind in trouble.items():
        if kind == "spike" and began <= step < began + 4:
            loss, norm = loss * 2.5, norm * 15
        if kind == "rise" and began <= step:
            loss += 0.01 * (step - began)
        if kind == "norm" and began <= step < began + 2:
            norm *= 40
        if kind == "nan" and step == began:
            loss = math.nan
    values = {wire.LOSS: loss, wire.LR: 1e-3, f"{wire.GRAD_NORM}/layer.0": norm / 2, wire.STEP_SECONDS: 0.25}
    if step % 3:
        values[wire.GRAD_NORM] = norm
    if step % 20 == 0:
        values[wire.EVAL_LOSS] = loss + 0.1
    return {name: rounded(value) for name, value in values.items()}


def live(rows: Sequence[Row], cuts: Sequence[int]) -> Any:
    """The incidents of a collector that hears the rows in batches that end before these rows."""
    state = new_run("run", BEGUN, Registration(project="gpt"), SETTINGS)
    told: dict[str, Incident] = {}
    attempts = [index for index in range(1, len(rows)) if rows[index].attempt != rows[index - 1].attempt]
    ends = sorted({*cuts, *attempts, len(rows)})
    for start, end in zip([0, *ends], ends, strict=False):
        received = BatchReceived(BEGUN, "run", batch_of(rows[start:end], start))
        told |= fold(state, received, SETTINGS).incidents
    return to_plain([incident.as_json() for incident in told.values()])


def batch_of(rows: Sequence[Row], start: int) -> wire.Batch:
    names = {name for row in rows for name in row.values}
    return wire.Batch(
        rank=0,
        seq=start,
        attempt=rows[0].attempt if rows else 0,
        step=array("q", [row.step for row in rows]),
        time=array("d", [BEGUN + index for index in range(start, start + len(rows))]),
        metrics={
            name: array("d", [row.values.get(name, wire.NOT_MEASURED) for row in rows]) for name in names
        },
    )


def replayed(path: Path) -> Any:
    return to_plain([incident.as_json() for incident in replay_file(path, Options()).incidents])


def columns(rows: Sequence[Row]) -> list[str]:
    return sorted({name for row in rows for name in row.values})


def as_csv(rows: Sequence[Row], folder: Path) -> Path:
    path = folder / "run.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", *columns(rows)])
        writer.writeheader()
        writer.writerows({"step": row.step, **row.values} for row in rows)
    return path


def as_json_lines(rows: Sequence[Row], folder: Path) -> Path:
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps({"step": row.step, **row.values}) + "\n" for row in rows))
    return path


def as_trainer_state(rows: Sequence[Row], folder: Path) -> Path:
    path = folder / "run.json"
    path.write_text(json.dumps({"log_history": [{"step": row.step, **row.values} for row in rows]}))
    return path


def as_event_files(rows: Sequence[Row], folder: Path) -> Path:
    """One for each attempt, as a job writes them that is started again."""
    out = folder / "run"
    for attempt in range(rows[-1].attempt + 1):
        writer: Any = SummaryWriter(str(out), filename_suffix=f".{attempt}")
        for index, row in enumerate(rows):
            if row.attempt == attempt:
                for name, value in row.values.items():
                    writer.add_scalar(name, value, row.step, walltime=BEGUN + index)
        writer.close()
    return out


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**32), largest=st.sampled_from([1, 2, 7, 50, 400]))
def test_a_replay_finds_what_a_collector_found(
    tmp_path_factory: pytest.TempPathFactory, seed: int, largest: int
) -> None:
    rows, rng = story(seed), random.Random(seed)
    cuts, at = [], 0
    while at < len(rows):
        at += rng.randint(1, largest)
        cuts.append(min(at, len(rows)))
    path = as_csv(rows, tmp_path_factory.mktemp("run"))
    assert timeless(replayed(path)) == timeless(live(rows, cuts)) == timeless(live(rows, range(len(rows))))


@pytest.mark.parametrize("write", [as_csv, as_json_lines, as_trainer_state, as_event_files])
@pytest.mark.parametrize("seed", [3, 4, 11])
def test_the_format_makes_no_difference(write: Any, seed: int, tmp_path: Path) -> None:
    rows = story(seed)
    assert timeless(replayed(write(rows, tmp_path))) == timeless(live(rows, []))


def test_there_is_something_to_find() -> None:
    kinds = {incident["kind"] for seed in range(12) for incident in live(story(seed), [])}
    assert kinds >= {"non_finite", "loss_spike", "grad_explosion"}


def timeless(told: Any) -> Any:
    """Without when it was: a table has no time."""
    if isinstance(told, dict):
        return {name: timeless(value) for name, value in told.items() if not name.endswith(("time", "_at"))}
    return [timeless(each) for each in told] if isinstance(told, list) else told
