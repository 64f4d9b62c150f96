"""What is found in a folder, and what is said of the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from trimtab_monitor.replay.columns import NoRun
from trimtab_monitor.replay.folders import recorded_runs

STATE = json.dumps({"global_step": 10, "log_history": [{"step": 1, "loss": 2.0}]}, indent=2)


def make(folder: Path, *names: str) -> None:
    """Make these files, with content that suits their names."""
    contents = {".json": '{\n "lr": 1\n}', ".jsonl": "{}", ".csv": "step,loss\n1,2\n"}
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STATE if path.name == "trainer_state.json" else contents.get(path.suffix, "x"))


def find(folder: Path) -> tuple[list[str], list[str]]:
    """The runs by their paths below the folder, and what was said."""
    notes: list[str] = []
    runs = recorded_runs(folder, notes.append)
    return [str(run.relative_to(folder)) for run in runs], [
        note.replace(str(folder), "F").replace("F/", "") for note in notes
    ]


def test_what_may_be_a_run_is_found_at_any_depth_and_in_order(tmp_path: Path) -> None:
    make(
        tmp_path, "b/run.csv", "a/deep/er/log.jsonl", "z.tsv", "a/log.csv.gz", "b/events.out.tfevents.1.host"
    )
    make(tmp_path, ".hidden/run.csv", "b/.run.csv")
    assert find(tmp_path) == (
        ["a/deep/er/log.jsonl", "a/log.csv.gz", "b/events.out.tfevents.1.host", "b/run.csv", "z.tsv"],
        [],
    )


def test_what_is_passed_over_is_told_in_short(tmp_path: Path) -> None:
    make(tmp_path, "run.csv", "a.png", "b.txt", "c.safetensors", "d/e.bin", "config.json")
    assert find(tmp_path) == (
        ["run.csv"],
        ["F: passed over a.png, b.txt, c.safetensors and 2 more: no recorded runs"],
    )


def test_json_is_looked_into(tmp_path: Path) -> None:
    make(tmp_path, "config.json", "trainer_state.json")
    (tmp_path / "metrics.json").write_text('{"step": 1, "loss": 2.0}\n')
    (tmp_path / "rows.json").write_text('[\n{"step": 1, "loss": 2.0}]')
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    runs, _ = find(tmp_path)
    assert runs == ["metrics.json", "rows.json", "trainer_state.json"]


def test_several_event_files_in_a_folder_are_one_run(tmp_path: Path) -> None:
    make(tmp_path, "tb/events.out.tfevents.1.host", "tb/events.out.tfevents.2.host", "run.csv")
    assert find(tmp_path) == (["run.csv", "tb"], ["tb: its 2 event files are taken as one run"])


def test_of_the_checkpoints_of_a_run_the_latest_is_taken(tmp_path: Path) -> None:
    make(tmp_path, *(f"out/checkpoint-{step}/trainer_state.json" for step in (500, 1000, 1500, 20)))
    make(tmp_path, "other/checkpoint-7/trainer_state.json")
    runs, notes = find(tmp_path)
    assert runs == ["other/checkpoint-7/trainer_state.json", "out/checkpoint-1500/trainer_state.json"]
    (note,) = notes
    assert note == (
        "out/checkpoint-1500/trainer_state.json: the latest state of its run; passed over "
        "checkpoint-1000/trainer_state.json, checkpoint-20/trainer_state.json, "
        "checkpoint-500/trainer_state.json"
    )


@pytest.mark.parametrize(
    ("done", "latest"),
    [
        ({"global_step": 1000}, "trainer_state.json"),
        ({"global_step": 400}, "checkpoint-1000/trainer_state.json"),
        ([], "checkpoint-1000/trainer_state.json"),
    ],
)
def test_the_state_of_the_run_itself_may_be_the_latest(tmp_path: Path, done: object, latest: str) -> None:
    make(tmp_path, "checkpoint-1000/trainer_state.json", "checkpoint-500/trainer_state.json")
    (tmp_path / "trainer_state.json").write_text(json.dumps(done))
    assert find(tmp_path)[0] in ([latest], sorted([latest, "trainer_state.json"]))


def test_a_folder_is_looked_at_once_however_it_is_reached(tmp_path: Path) -> None:
    make(tmp_path, "a/run.csv")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.csv").symlink_to(tmp_path / "self.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    runs, notes = find(tmp_path)
    assert runs == ["a/run.csv"]
    assert notes == [
        "a/up: passed over: a link to a folder that is looked at already",
        "b: passed over: a link to a folder that is looked at already",
        "F: passed over gone.csv, pipe.csv, self.csv: no recorded runs",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    make(tmp_path, "run.csv", "closed/run.csv")
    (tmp_path / "closed").chmod(0)
    try:
        assert find(tmp_path) == (["run.csv"], ["closed: passed over: permission denied"])
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_folder_with_no_run_is_an_error(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    with pytest.raises(NoRun, match=r"holds no recorded run; give a folder with CSV"):
        find(tmp_path)
