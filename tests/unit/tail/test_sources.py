"""Logs of every kind, growing under the eyes of what reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trimtab.log_patterns import own_pattern
from trimtab_monitor.replay.columns import Columns, NoRun
from trimtab_monitor.tail.formats import Wanted, refuse
from trimtab_monitor.tail.sources import MANY, LineSource
from trimtab_monitor.tail.steps import Placed
from trimtab_monitor.tail.targets import Targets

Told = list[tuple[int, int, dict[str, float]]]


class Growing:
    """A file, and a source that follows it; `write` appends and gives what the source then finds."""

    def __init__(self, path: Path, pattern: str | None = None, metric: str | None = None) -> None:
        self.path = path
        self.notes: list[str] = []
        columns = Columns(metric, everything=True)
        self.source = LineSource(
            path, Wanted(columns, own_pattern(pattern) if pattern else None), self.notes.append
        )

    def write(self, text: str | bytes) -> Told:
        with self.path.open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        return self.found()

    def found(self) -> Told:
        placed: list[Placed] = []
        while (rows := self.source.poll()) is not None:
            placed += rows
        return told(placed)

    def idle(self, *, end: bool = False) -> Told:
        return told(self.source.idle(end=end))


def told(placed: Sequence[Placed]) -> Told:
    return [(each.attempt, each.step, each.row.values) for each in placed]


def steps(found: Told) -> list[int]:
    return [step for _, step, _ in found]


def test_csv_row_by_row_with_all_that_it_measures(tmp_path: Path) -> None:
    log = Growing(tmp_path / "metrics.csv")
    assert log.write("step;train/loss;mfu;note\n1;2.5;0.4;go") == []
    assert log.write("ing\n2;2.25;;\n") == [(0, 1, {"loss": 2.5, "mfu": 0.4}), (0, 2, {"loss": 2.25})]
    assert log.write("3;1.#QNAN;0.5;\n4;bad;0.5;\n5;") == [
        (0, 3, {"loss": pytest.approx(math.nan, nan_ok=True), "mfu": 0.5})
    ]
    assert [note.partition(";")[0] for note in log.notes] == [f"{log.path}:5: column train/loss holds 'bad'"]
    assert log.notes[0].endswith(" (passed over)")
    assert log.idle() == []
    assert log.idle(end=True) == []
    assert "cells where the header has 4" in log.notes[-1]


def test_a_table_that_is_written_anew_each_time_goes_on(tmp_path: Path) -> None:
    log = Growing(tmp_path / "metrics.csv")
    assert steps(log.write("step,loss\n1,2.5\n2,2.25\n")) == [1, 2]
    log.path.write_text("step,loss,lr\n1,2.5,\n2,2.25,\n3,2.0,0.5\n")
    assert log.found() == [(0, 3, {"loss": 2.0, "lr": 0.5})]
    assert log.notes == []


def test_a_table_that_begins_anew_is_another_attempt(tmp_path: Path) -> None:
    log = Growing(tmp_path / "metrics.csv")
    assert steps(log.write("step,loss\n1,2.5\n2,2.25\n3,2.0\n")) == [1, 2, 3]
    log.path.write_text("step,loss\n1,2.625\n")
    assert log.found() == [(1, 1, {"loss": 2.625})]
    assert "was truncated or replaced" in log.notes[0]
    assert log.source.began_in == 1


def test_a_header_that_comes_again_is_none_of_the_rows(tmp_path: Path) -> None:
    log = Growing(tmp_path / "metrics.csv")
    assert steps(log.write("step,loss\n1,2.5\n2,2.5\nstep,loss\n2,2.5\n3,2.5\n")) == [1, 2, 2, 3]


def test_another_header_begins_another_table(tmp_path: Path) -> None:
    log = Growing(tmp_path / "metrics.csv")
    assert log.write("step,loss\n1,2.5\nstep,lr,loss\n2,0.5,2.25\n") == [
        (0, 1, {"loss": 2.5}),
        (0, 2, {"lr": 0.5, "loss": 2.25}),
    ]
    assert log.write("epoch,seconds\nstep,mean_loss\n3,0.5,2.0\n") == [(0, 3, {"lr": 0.5, "loss": 2.0})]
    assert len(log.notes) == 2, "tables of something else are rows that cannot be read"


def test_json_lines_with_rubbish_between(tmp_path: Path) -> None:
    log = Growing(tmp_path / "log.jsonl")
    first = {"_timestamp": 1.7e9, "global_step": 1, "train/loss": "NaN", "gpu": "H100", "tokens/s": 5}
    placed: list[Any] = []
    log.path.write_text(json.dumps(first) + "\nnot json\n\x00\x01\n")
    placed += log.source.poll() or []
    assert [(row.step, row.row.time) for row in placed] == [(1, 1.7e9)]
    assert set(placed[0].row.values) == {"loss", "tokens/s"}
    assert len(log.notes) == 2
    assert log.write('{"global_step": 2, "train/loss": -Infinity}\n') == [(0, 2, {"loss": -math.inf})]
    assert log.write('{"global_step": 3}\n[1]\n{"eval_loss": 1}\n') == []


def test_a_plain_log_is_read_by_the_pattern_that_matches_several_lines(tmp_path: Path) -> None:
    log = Growing(tmp_path / "train.log")
    assert (
        log.write("compiling the model... (takes a ~minute)\nstep 0: train loss 10.9, val loss 10.875\n")
        == []
    )
    assert log.write("iter 0: loss 10.5, time 2000.00ms, mfu -100.00%\n") == []
    assert log.write("iter 10: loss 8.5, time 100.00ms, mfu 5.00%\n") == [
        (0, 0, {"eval_loss": 10.875}),
        (0, 0, {"loss": 10.5, "step_seconds": 2.0, "mfu": -100.0}),
        (0, 10, {"loss": 8.5, "step_seconds": 0.1, "mfu": 5.0}),
    ]
    assert log.notes == [f"{log.path}: read as nanoGPT; choose with --pattern REGEX"]
    assert log.write("iter 20: loss nan, time 100.00ms, mfu 5.00%\n")[0][1] == 20


def test_a_log_of_few_lines_is_read_when_nothing_more_comes(tmp_path: Path) -> None:
    log = Growing(tmp_path / "train.log")
    assert log.write("2023-11-14 22:13:20+00:00 INFO step: 5  loss: 2.5  grad_norm: 1.5\n") == []
    (row,) = log.source.idle(end=False)
    assert (row.step, row.row.values, row.row.time) == (5, {"loss": 2.5, "grad_norm": 1.5}, 1.7e9)


@pytest.mark.parametrize("pattern", [None, r"took (?P<loss>\S+)"])
def test_a_log_of_which_nothing_is_understood_says_how_to_go_on(tmp_path: Path, pattern: str | None) -> None:
    log = Growing(tmp_path / "train.log", pattern)
    assert log.write("Ep 1 took 2.5ms\n") == []
    assert log.idle() == []
    assert log.notes == [], "the first lines of a log may be of something else"
    assert log.idle(end=True) == []
    assert log.write("Ep 1 took 2.5ms\n" * MANY) == []
    (note,) = log.notes
    assert note.startswith(f"{log.path}: none of 1 lines tells a step so far; say how")


def test_a_long_log_of_which_nothing_is_understood_says_so_at_once(tmp_path: Path) -> None:
    log = Growing(tmp_path / "train.log")
    assert log.write("Ep 1 took 2.5ms\n" * MANY) == []
    assert f"none of {MANY} lines tells a step" in log.notes[0]


def test_dicts_that_transformers_prints_are_counted(tmp_path: Path) -> None:
    log = Growing(tmp_path / "slurm-1.out")
    line = "\r 10%|█| 1/9 [00:01]{{'loss': '{}', 'learning_rate': '5e-05', 'epoch': '0.1'}}\n"
    found = log.write("".join(line.format(4.0 - i) for i in range(3)) + "{'eval_loss': 2.5, 'epoch': 1.0}\n")
    assert steps(found) == [1, 2, 3, 3]
    assert found[2][2] == {"loss": 2.0, "lr": 5e-5, "epoch": 0.1}
    assert found[3][2] == {"eval_loss": 2.5, "epoch": 1.0}


def test_a_bar_that_is_drawn_again_counts_once(tmp_path: Path) -> None:
    log = Growing(tmp_path / "train.log")
    bar = "\rEpoch 0:  1%|▏| {}/100 [00:01<00:09, 9.0it/s, v_num=0, train_loss={}]"
    found = log.write("".join(bar.format(i // 3, 2.5) for i in range(15)) + "\n")
    assert steps(found) == [0, 1, 2, 3, 4]


def test_a_pattern_of_ones_own(tmp_path: Path) -> None:
    log = Growing(tmp_path / "any.txt", pattern=r"s(?P<step>\d+) l(?P<loss>\S+) x(?P<mine>\S+)")
    assert log.write("s1 l2.5 x7\nother\ns2 linf x8\n") == [
        (0, 1, {"loss": 2.5, "mine": 7.0}),
        (0, 2, {"loss": math.inf, "mine": 8.0}),
    ]


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("a.txt", '{"step": 1, "loss": 2.5}\n', [1]),
        ("a.out", "step,loss\n1,2.5\n", [1]),
        ("a.tsv", "step\tloss\n1\t2.5\n", [1]),
    ],
)
def test_a_file_without_a_telling_name_is_known_by_its_first_line(
    tmp_path: Path, name: str, text: str, read: list[int]
) -> None:
    assert steps(Growing(tmp_path / name).write("\n\n" + text)) == read


@pytest.mark.parametrize(("name", "text"), [("a.txt", '{\n "a": 1}\n'), ("a.csv", "time,accuracy\n1,2\n")])
def test_what_cannot_be_watched_is_told(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(NoRun, match=r"use trimtab replay|no column loss or train_loss"):
        Growing(tmp_path / name).write(text)


@pytest.mark.parametrize("name", ["run.csv.gz", "trainer_state.json"])
def test_what_does_not_grow_by_lines_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoRun, match="use trimtab replay"):
        refuse(tmp_path / name)


def test_standard_input_is_refused() -> None:
    with pytest.raises(NoRun, match="keep it in a file"):
        refuse(Path("-"))


def test_of_a_folder_the_newest_log_is_followed_and_those_that_appear(tmp_path: Path) -> None:
    notes: list[str] = []
    targets = Targets([tmp_path / "runs"], Wanted(Columns(everything=True)), notes.append)
    assert targets.new() == []
    (tmp_path / "runs" / "a").mkdir(parents=True)
    assert targets.new() == []
    old, new = tmp_path / "runs" / "a" / "train.log", tmp_path / "runs" / "log.csv"
    for path, text in ((old, "old"), (new, "step,loss\n")):
        path.write_text(text)
    new.touch()
    (tmp_path / "runs" / "notes.md").write_text("no log")
    assert [source.path for source in targets.new()] == [new]
    assert targets.new() == []
    later = tmp_path / "runs" / "b.jsonl"
    later.write_text("{}")
    assert [source.path for source in targets.new()] == [later]
    assert "is not there yet" in notes[0]
    assert "follows the newest log in it" in notes[1]


def test_what_cannot_be_looked_at_is_tried_again_and_stops_nothing_else(tmp_path: Path) -> None:
    hidden, table = tmp_path / ("n" * 300), tmp_path / "run.csv"
    notes: list[str] = []
    table.write_text("step,loss\n1,2.5\n")
    targets = Targets([hidden, table], Wanted(Columns(everything=True)), notes.append)
    assert [source.path for source in targets.new()] == [table]
    assert targets.new() == []
    assert notes == [f"{hidden}: file name too long: tries again"]
    assert targets.waits == {hidden}
