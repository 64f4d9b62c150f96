"""A recorded run gives the incidents that the live run would have given."""

from __future__ import annotations

import io
import math
import random
from pathlib import Path

from rich.console import Console

from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.replay.runner import Options, replay_file
from trimtab_monitor.replay.text import plain_lines, tell
from trimtab_monitor.types import Sample

REMEDY = "if the column of steps begins anew with every epoch, --step-column none counts rows"


def losses(steps: int, seed: int = 1) -> list[float]:
    noise = random.Random(seed)
    return [2.0 + noise.gauss(0, 0.04) for _ in range(steps)]


def write(folder: Path, rows: list[tuple[int, float]], name: str = "run.csv") -> Path:
    path = folder / name
    path.write_text("step,loss\n" + "".join(f"{step},{loss!r}\n" for step, loss in rows))
    return path


def test_a_replay_finds_what_a_live_run_finds(tmp_path: Path) -> None:
    series = losses(300)
    series[150:154] = [4.0, 4.5, 4.4, 3.9]
    series[200] = math.nan
    path = write(tmp_path, list(enumerate(series, start=1)))
    detectors, book = DetectorSet(), IncidentBook("run")
    live = {}
    for step, loss in enumerate(series, start=1):
        sample = Sample(step, float(step), {"loss": loss})
        for incident in book.observe(sample, detectors.update(sample), detectors.active):
            live[incident.id] = incident
    replayed = replay_file(path, Options())
    assert repr(replayed.incidents) == repr(list(live.values()))
    assert [incident.kind for incident in replayed.incidents] == ["loss_spike", "non_finite"]
    assert replayed.as_json()["rows"] == 300


def test_a_step_that_goes_backwards_begins_a_new_attempt_and_is_told(tmp_path: Path) -> None:
    series = losses(200)
    rows = [*enumerate(series[:100], start=1), (101, 9.0), (102, 9.0), *enumerate(series[100:], start=90)]
    notes: list[str] = []
    path = write(tmp_path, rows)
    replayed = replay_file(path, Options(note=notes.append))
    assert notes == [f"{path}:104: step 90 after step 102: attempt 1 begins"]
    (incident,) = replayed.incidents
    assert (incident.attempt, incident.start_step, incident.end_step, incident.state) == (
        0,
        101,
        102,
        "resolved",
    )


def test_steps_in_no_order_are_not_told_one_by_one(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path, [(100 - step, 2.0) for step in range(100)])
    assert replay_file(path, Options(note=notes.append)).rows == 100
    assert len(notes) == 11
    assert notes[-1] == f"{path}: later attempts are not told; " + REMEDY


def test_rows_are_counted_where_steps_begin_anew_with_every_epoch(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path, [(row % 20, loss) for row, loss in enumerate([*losses(200), 9.0])])
    (incident,) = replay_file(path, Options(step_column="none", note=notes.append)).incidents
    assert (incident.attempt, incident.detected_step, notes) == (0, 201, [])


def test_rows_without_a_step_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("loss\n" + "".join(f"{loss}\n" for loss in [*losses(100), 9.0]))
    (incident,) = replay_file(path, Options()).incidents
    assert incident.detected_step == 101
    assert incident.state == "open"


def test_curves_are_kept_only_where_a_picture_is_wanted(tmp_path: Path) -> None:
    path = write(tmp_path, list(enumerate(losses(50))))
    assert replay_file(path, Options()).curves == {}
    curve = replay_file(path, Options(keep_curves=True)).curves["loss"]
    assert (len(curve.steps), len(curve.values), len(curve.attempts)) == (50, 50, 50)


def test_people_read_a_line_for_the_file_and_one_for_each_incident(tmp_path: Path) -> None:
    path = write(tmp_path, list(enumerate([*losses(100), 9.0, *losses(20)], start=1)))
    first, second = plain_lines(replay_file(path, Options()))
    assert first == f"{path}: 121 rows, 1 incident"
    assert second.startswith("  critical loss_spike          step 101, detected at 101: loss 1.99 -> 9.00")


def test_on_a_terminal_it_is_a_table(tmp_path: Path) -> None:
    path = write(tmp_path, list(enumerate([*losses(100), 9.0], start=1)))
    console = Console(force_terminal=True, width=120, record=True, file=io.StringIO())
    tell(replay_file(path, Options()), console)
    shown = console.export_text()
    assert "what happened" in shown
    assert "101-…" in shown


def test_a_column_of_losses_that_is_empty_is_told(tmp_path: Path) -> None:
    path, notes = tmp_path / "run.csv", list[str]()
    path.write_text("step,loss,lr\n" + "".join(f"{step},,0.001\n" for step in range(1, 50)))
    assert replay_file(path, Options(note=notes.append)).incidents == []
    assert notes[-1] == (
        f"{path}: no row holds a loss, and nothing was judged by it; name the one to watch with --metric NAME"
    )


def test_steps_that_hardly_ever_change_are_told(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path, [(row // 30, loss) for row, loss in enumerate(losses(300))])
    replay_file(path, Options(note=notes.append))
    (note,) = notes
    assert note == (
        f"{path}: 290 of 300 rows repeat the step before, and only one of each step is judged; "
        "name another column with --step-column NAME, or count rows with --step-column none"
    )
