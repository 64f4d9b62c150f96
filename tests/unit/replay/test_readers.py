"""Recorded runs as trainers write them, and as they should not."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest

from trimtab_monitor.replay.columns import Columns, NoRun, UnreadableRun
from trimtab_monitor.replay.readers import Row, read_rows
from trimtab_monitor.replay.readers.text_file import MOST_OF_A_LINE


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def read(path: Path, metric: str | None = None, step: str | None = None) -> tuple[list[Row], list[str]]:
    notes: list[str] = []
    return list(read_rows(path, Columns(metric, step), notes.append)), notes


def values(path: Path, metric: str | None = None) -> list[tuple[int | None, dict[str, float]]]:
    return [(row.step, row.values) for row in read(path, metric)[0]]


# --- CSV ---


@pytest.mark.parametrize(
    ("header", "loss"),
    [
        ("step,loss,grad_norm,lr", "loss"),
        ("global_step,train_loss,train/grad_norm,learning_rate", "loss"),
        ("Iteration,Loss,gnorm,LR", "loss"),
        ("_step,train/loss,gradient_norm,train/learning_rate", "loss"),
    ],
)
def test_columns_are_known_by_their_usual_names(tmp_path: Path, header: str, loss: str) -> None:
    path = write(tmp_path, "run.csv", f"{header}\n1,2.5,0.3,1e-3\n2,2.4,0.2,2e-3\n")
    assert values(path) == [
        (1, {loss: 2.5, "grad_norm": 0.3, "lr": 1e-3}),
        (2, {loss: 2.4, "grad_norm": 0.2, "lr": 2e-3}),
    ]


def test_what_is_not_finite_is_measured_and_what_is_empty_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", "step,loss,grad_norm\n1,NaN,inf\n2, nan ,-Infinity\n3,,\n4,null,None\n")
    rows = [row.values for row in read(path)[0]]
    assert math.isnan(rows[0]["loss"])
    assert math.isnan(rows[1]["loss"])
    assert (rows[0]["grad_norm"], rows[1]["grad_norm"]) == (math.inf, -math.inf)
    assert rows[2:] == [{}, {}]


def test_the_loss_may_be_called_anything(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", "step,loss,Policy_Loss\n1,2.0,-7.0\n")
    assert values(path, "policy_loss") == [(1, {"loss": -7.0})]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Loss/train,Loss/val,lr/train", ["loss", "eval_loss", "lr"]),
        ("lm loss,lm loss validation,learning-rate,grad-norm", ["loss", "eval_loss", "lr", "grad_norm"]),
        ("train/loss_step,val_loss,loss-scale", ["loss", "eval_loss", "loss_scale"]),
        ("loss,total_loss,accuracy,iteration-time", ["loss", None, None, "step_seconds"]),
        ("Train/Samples/train_loss,Train/Samples/lr", ["loss", "lr"]),
        ("grad_norm/block.0,training/loss,grad_norm", ["grad_norm/block.0", "loss", "grad_norm"]),
    ],
)
def test_metrics_are_known_however_their_names_are_spelt(
    tmp_path: Path, header: str, found: list[str | None]
) -> None:
    cells = ",".join(str(number) for number in range(1, len(found) + 1))
    path = write(tmp_path, "run.csv", f"step,{header}\n1,{cells}\n")
    expected = {name: float(number) for number, name in enumerate(found, start=1) if name is not None}
    assert values(path) == [(1, expected)]


def test_a_metric_that_was_asked_for_is_taken_for_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", "step,loss,val_loss,eval_loss\n1,2.0,2.5,2.7\n")
    assert values(path, "val_loss") == [(1, {"loss": 2.5, "eval_loss": 2.7})]


@pytest.mark.parametrize(("name", "first"), [("Loss", 2.0), ("loss", 3.0), ("LOSS", 2.0)])
def test_a_name_as_it_stands_comes_before_one_in_other_letters(
    tmp_path: Path, name: str, first: float
) -> None:
    assert values(write(tmp_path, "run.csv", "step,Loss,loss\n1,2,3\n"), name) == [(1, {"loss": first})]


def test_the_step_may_be_called_anything(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", "step,tokens seen,loss\n1,4096,2.0\n")
    assert [row.step for row in read(path, step="Tokens_Seen")[0]] == [4096]
    lines = write(tmp_path, "run.jsonl", '{"step": 1, "n": 7, "loss": 2.0}\n')
    assert [row.step for row in read(lines, step="n")[0]] == [7]


@pytest.mark.parametrize(
    ("name", "text"), [("run.csv", "step,loss\n1,2.0\n"), ("run.jsonl", '{"step": 1, "loss": 2.0}\n')]
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(UnreadableRun, match=r"no column nll \(columns: loss, step\); .* with --metric$"):
        read(path, metric="nll")
    with pytest.raises(UnreadableRun, match=r"no column t \(columns: loss, step\); .* with --step-column$"):
        read(path, step="t")


def test_of_many_columns_not_all_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", ",".join(f"c{number}" for number in range(100)) + "\n")
    with pytest.raises(UnreadableRun, match=r"c0, c1, .*, and 80 more\)"):
        read(path)


def test_compressed_files_are_read(tmp_path: Path) -> None:
    for name, text in [("run.csv", "step,loss\n1,2.5\n"), ("run.jsonl", '{"step": 1, "loss": 2.5}\n')]:
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress(text.encode()))
        assert values(path) == [(1, {"loss": 2.5})]
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(UnreadableRun, match=r"is cut off or damaged \(gzip\)"):
            read(path)
    path.write_text(text)
    with pytest.raises(UnreadableRun, match="not a gzipped file"):
        read(path)


def test_a_large_file_of_something_else_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path, "corpus.jsonl", '{"text": "a"}\n' * 10_000 + "no JSON")
    with pytest.raises(NoRun, match=r"no column loss"):
        read(path)


def test_empty_cells_after_the_last_column_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", "step,loss\n1,2.5,\n3.0,2.4,,\n")
    assert values(path) == [(1, {"loss": 2.5}), (3, {"loss": 2.4})]


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_other_separators_are_noticed(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, "run.tsv", "step,loss\n1,2.5\n".replace(",", delimiter))
    assert values(path) == [(1, {"loss": 2.5})]


def test_text_in_a_column_that_is_not_used_does_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", '\ufeffstep,note,loss\r\n1,"a, ""b""\nc",2.5\r\n\r\n2.0,x,2.4\r\n')
    assert values(path) == [(1, {"loss": 2.5}), (2, {"loss": 2.4})]


def test_without_a_step_rows_are_not_numbered_and_that_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", "loss\n2.5\n2.4\n")
    rows, notes = read(path)
    assert [row.step for row in rows] == [None, None]
    remedy = "name it with --step-column NAME, if there is one"
    assert notes == [f"{path}: no column step: rows are counted from 1; {remedy} (columns: loss)"]
    assert read(path, step="none") == (rows, [])


BOTH = {"step": 1, "train/loss": 2.0, "total_loss": 2.5}


@pytest.mark.parametrize(
    ("name", "text"),
    [("run.csv", "step,train/loss,total_loss\n1,2.0,2.5\n"), ("run.jsonl", json.dumps(BOTH) + "\n")],
)
def test_which_column_is_taken_as_the_loss_is_told_where_others_could_be(
    tmp_path: Path, name: str, text: str
) -> None:
    path = write(tmp_path, name, text)
    rows, notes = read(path)
    assert rows[0].values == {"loss": 2.0}
    assert notes == [f"{path}: train/loss is taken as the loss, not total_loss: choose with --metric NAME"]
    assert read(path, metric="total_loss")[1] == []


def test_a_loss_in_a_summary_at_the_end_is_no_other_loss(tmp_path: Path) -> None:
    path = write(tmp_path, "run.jsonl", '{"step": 1, "loss": 2}\n{"step": 2, "train_loss": 2.1}\n')
    assert read(path)[1] == []


def test_a_last_line_that_is_cut_off_is_left_out_and_told(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", "step,loss,lr\n1,2.5,1e-3\n2,2.")
    rows, notes = read(path)
    assert [row.step for row in rows] == [1]
    assert notes == [f"{path}:3: the last line is cut off, and left out"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "run.csv: is empty; give a CSV file with a header and rows"),
        ("\n\n", "run.csv: is empty"),
        (
            "step,accuracy\n1,0.5\n",
            "run.csv: no column loss or train_loss or training_loss (columns: accuracy, step); ",
        ),
        (
            "step,loss\n1,2.5\n2,fast\n3,2.4\n",
            "run.csv:3: column loss holds 'fast'; give a number, NaN, inf, ",
        ),
        ("step,loss\none,2.5\n", "run.csv:2: column step holds 'one'; give a whole step number"),
        ("step,loss\n1.5,2.5\n", "run.csv:2: column step holds '1.5'"),
        ("step,loss\n,2.5\n", "run.csv:2: column step holds ''"),
        ("step,loss\n1\n2,2.4\n", "run.csv:2: 1 cells where the header has 2"),
        ("step,loss\n1,2.5\n2,true\n", "run.csv:3: column loss holds 'true'"),
        ("step,loss\n1,2_5\n", "run.csv:2: column loss holds '2_5'"),
        (
            f"step,loss\n1,2\n{10**25},2\n",
            "run.csv:3: column step holds '10000000000000000000000000'; give a ",
        ),
        (
            "step,loss\n-1,2.5\n",
            "run.csv:2: column step holds '-1'; give a whole step number, from 0 to 2**53",
        ),
        ("step,loss\n1e400,2.5\n", "run.csv:2: column step holds '1e400'"),
        ("step,loss\nNaN,2.5\n", "run.csv:2: column step holds 'NaN'"),
        (
            "step,loss\n1,2,5\n2,2.4\n",
            "run.csv:2: 3 cells where the header has 2; write decimals with a point",
        ),
        ("step,loss\n1,2.5\n2,2,4", "run.csv:3: 3 cells where the header has 2"),
    ],
)
def test_what_is_wrong_with_a_csv_file_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, "run.csv", text)
    with pytest.raises(UnreadableRun) as caught:
        read(path)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_a_first_line_without_an_end_is_not_read_to_it(tmp_path: Path) -> None:
    path = write(tmp_path, "run.csv", "x" * (MOST_OF_A_LINE + 1))
    with pytest.raises(NoRun, match="has a line of 16777216 characters"):
        read(path)


# --- JSON Lines ---


def test_json_lines_may_hold_a_metric_in_some_rows_only(tmp_path: Path) -> None:
    lines = [
        {"global_step": 10, "train/loss": 2.5},
        {"global_step": 10, "eval/loss": 2.6},
        {"global_step": 20, "train/loss": None, "grad_norm": "Infinity"},
        {"global_step": 30, "train/loss": 2.4, "learning_rate": 1e-3, "note": "x"},
    ]
    path = write(tmp_path, "run.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    assert values(path) == [
        (10, {"loss": 2.5}),
        (10, {"eval_loss": 2.6}),
        (20, {"grad_norm": math.inf}),
        (30, {"loss": 2.4, "lr": 1e-3}),
    ]


def test_bare_nan_is_read_as_python_writes_it(tmp_path: Path) -> None:
    path = write(tmp_path, "run.jsonl", '{"step": 1, "loss": NaN}\n{"step": 2, "loss": -Infinity}\n')
    first, second = read(path)[0]
    assert math.isnan(first.values["loss"])
    assert second.values["loss"] == -math.inf


def test_json_lines_are_known_by_their_content(tmp_path: Path) -> None:
    path = write(tmp_path, "metrics.json", '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.9}\n')
    assert [row.step for row in read(path)[0]] == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "run.jsonl: is empty"),
        ('{"step": 1, "loss": 2}\n{"step": 2, "loss": }\n{}\n', "run.jsonl:2: is not JSON: "),
        ('{"step": 1, "loss": 2}\n[2, 1.9]\n', "run.jsonl:2: holds [2, 1.9]; give one JSON object a row"),
        ('{"step": 1, "loss": "low"}\n', "run.jsonl:1: column loss holds 'low'"),
        ('{"step": 1, "loss": true}\n', "run.jsonl:1: column loss holds True"),
        (
            '{"step": 1, "loss": 2}\n{"loss": 2}\n',
            "run.jsonl:2: has no step; give a step in every row, or in none",
        ),
        ('{"step": 1, "accuracy": 2}\n', "run.jsonl: no column loss"),
        ('{"step": true, "loss": 2}\n', "run.jsonl:1: column step holds True"),
        (f'{{"step": {10**400}, "loss": 2}}\n', "run.jsonl:1: column step holds 1000"),
        (f'{{"step": 1, "loss": {"9" * 5000}}}\n', "run.jsonl:1: is not JSON: "),
    ],
)
def test_what_is_wrong_with_json_lines_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, "run.jsonl", text)
    with pytest.raises(UnreadableRun) as caught:
        read(path)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "run.jsonl", '{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    rows, notes = read(path)
    assert [row.step for row in rows] == [1]
    assert notes == [f"{path}:2: the last line is cut off, and left out"]


# --- trainer_state.json, and what is no run at all ---


def test_the_log_history_of_a_trainer_state_is_read(tmp_path: Path) -> None:
    history = [
        {"step": 20, "loss": 2.5, "grad_norm": 0.4, "learning_rate": 5e-5, "epoch": 0.1},
        {"step": 20, "eval_loss": 2.6},
        {"step": 40, "loss": 2.4},
        {"step": 40, "train_runtime": 12.5, "train_loss": 2.45},
    ]
    path = write(tmp_path, "trainer_state.json", json.dumps({"log_history": history}, indent=2))
    assert values(path) == [
        (20, {"loss": 2.5, "grad_norm": 0.4, "lr": 5e-5}),
        (20, {"eval_loss": 2.6}),
        (40, {"loss": 2.4}),
        (40, {}),
    ]


@pytest.mark.parametrize("name", ["trainer_state.json", "state.jsonl", "state.csv", "state"])
def test_a_trainer_state_on_one_line_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    state = {"log_history": [{"step": 20, "loss": 2.5}, {"step": 40, "loss": 2.4}], "epoch": 1.0}
    path = write(tmp_path, name, json.dumps(state))
    assert values(path) == [(20, {"loss": 2.5}), (40, {"loss": 2.4})]


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_objects_is_read(tmp_path: Path, indent: int | None) -> None:
    rows = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": math.nan}]
    path = write(tmp_path, "run.json", json.dumps(rows, indent=indent))
    (_, first), (step, second) = values(path)
    assert (first, step) == ({"loss": 2.5}, 2)
    assert math.isnan(second["loss"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "run.json: is empty"),
        ("[1, 2]", "run.json:1: holds 1; give one JSON object a row"),
        ('[{"step": 1,', "run.json:1: is not JSON: "),
        (f"[{'9' * 5000}]", "run.json: is not JSON: "),
    ],
)
def test_what_is_wrong_with_an_array_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, "run.json", text)
    with pytest.raises(UnreadableRun) as caught:
        read(path)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_other_json_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "config.json", json.dumps({"lr": 1}, indent=2))
    with pytest.raises(UnreadableRun, match="has no list log_history"):
        read(path)


def test_a_directory_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match=r"is a directory; give files"):
        read(tmp_path)
    with pytest.raises(UnreadableRun, match=r"gone\.csv: no such file or directory"):
        read(tmp_path / "gone.csv")


def test_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_bytes(b"step,loss\n1,\xff\xfe\n")
    with pytest.raises(UnreadableRun, match="is not UTF-8 text"):
        read(path)
