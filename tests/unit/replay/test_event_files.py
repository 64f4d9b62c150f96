"""TensorBoard event files, as its own writers write them, and as crashes leave them."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary import Writer  # type: ignore[import-untyped]
from torch.utils.tensorboard import SummaryWriter

from trimtab_monitor.replay.columns import Columns, DamagedRun, NoRun, UnreadableRun
from trimtab_monitor.replay.readers import Row, read_rows

Scalar = tuple[str, int, float]


def write(folder: Path, scalars: Iterable[Scalar], *, begun: float = 1000.0) -> Path:
    """Write an event file with torch's writer, a second an event; return it."""
    known = set(folder.glob("*"))
    writer: Any = SummaryWriter(str(folder), filename_suffix=f".{len(known)}")
    for seconds, (tag, step, value) in enumerate(scalars):
        writer.add_scalar(tag, value, step, walltime=begun + seconds)
    writer.close()
    (file,) = set(folder.glob("*")) - known
    return file


def begin_at(file: Path, time: float) -> None:
    """Set the time at which a file was begun: that of its first event."""
    data = file.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    first = Event.FromString(data[12 : 12 + length])
    first.wall_time = time
    rest = data[16 + length :]
    file.write_bytes(framed(first.SerializeToString()) + rest)


def framed(data: bytes) -> bytes:
    """A record with its checksums, as TensorBoard's own code sums."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import (  # type: ignore[import-untyped]
        masked_crc32c,
    )

    length = struct.pack("<Q", len(data))
    sums = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
    return length + sums[0] + data + sums[1]


def read(path: Path, **columns: Any) -> tuple[list[Row], list[str]]:
    notes: list[str] = []
    return list(read_rows(path, Columns(**columns), notes.append)), notes


def values(path: Path, **columns: Any) -> list[tuple[int | None, dict[str, float]]]:
    rows, _ = read(path, **columns)
    return [(row.step, row.values) for row in rows]


def losses(first: int, last: int) -> list[Scalar]:
    return [("loss", step, float(step)) for step in range(first, last + 1)]


# --- what writers write ---


@pytest.mark.parametrize("tag", ["loss", "train/loss", "Loss/train", "train_loss", "training/loss"])
def test_the_loss_is_known_by_its_usual_names(tmp_path: Path, tag: str) -> None:
    assert values(write(tmp_path, [(tag, 1, 2.5), ("accuracy", 1, 0.5)])) == [(1, {"loss": 2.5})]


def test_tags_of_a_step_are_one_row_with_the_time_of_the_last(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [
            ("train/loss", 0, 2.5),
            ("train/grad_norm", 0, 0.5),
            ("train/loss", 10, 2.25),
            ("eval/loss", 10, 3.0),
        ],
    )
    rows, notes = read(path)
    assert rows == [
        Row(None, 0, {"loss": 2.5, "grad_norm": 0.5}, 1001.0),
        Row(None, 10, {"loss": 2.25, "eval_loss": 3.0}, 1003.0),
    ]
    assert notes == []


def test_tags_may_come_at_steps_of_their_own_and_one_after_the_other(tmp_path: Path) -> None:
    scalars = [*losses(0, 6), *[("lr", step, 0.5) for step in (0, 3, 6)], ("val/loss", 5, 8.0)]
    path = write(tmp_path, scalars)
    assert values(path) == [
        (0, {"loss": 0.0, "lr": 0.5}),
        (1, {"loss": 1.0}),
        (2, {"loss": 2.0}),
        (3, {"loss": 3.0, "lr": 0.5}),
        (4, {"loss": 4.0}),
        (5, {"loss": 5.0, "eval_loss": 8.0}),
        (6, {"loss": 6.0, "lr": 0.5}),
    ]


def test_scalars_of_tensorboard_2_are_tensors(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path))
    for step in range(3):
        writer.add_scalar("loss", np.float64(step + 0.1), step)
    writer.close()
    (path,) = tmp_path.iterdir()
    assert [row.step for row in read(path)[0]] == [0, 1, 2]
    assert [row.values["loss"] for row in read(path)[0]] == pytest.approx([0.1, 1.1, 2.1], rel=1e-6)


def tensor(**fields: Any) -> Any:
    return Summary.Value(tag="loss", tensor=fields)


FLOAT, DOUBLE, STRING, INT = 1, 2, 7, 9


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (tensor(dtype=FLOAT, float_val=[2.5]), 2.5),
        (tensor(dtype=DOUBLE, double_val=[0.1]), 0.1),
        (tensor(dtype=FLOAT, tensor_content=struct.pack("<f", 2.5)), 2.5),
        (tensor(dtype=DOUBLE, tensor_content=struct.pack("<d", 0.1)), 0.1),
        (tensor(dtype=DOUBLE, double_val=[0.1], tensor_shape={"dim": [{"size": 1}]}), 0.1),
        (tensor(dtype=INT, int64_val=[3]), 3.0),
        (Summary.Value(tag="loss", simple_value=2.5), 2.5),
        (Summary.Value(tag="loss", simple_value=-math.inf), -math.inf),
    ],
)
def test_a_number_may_be_written_in_many_ways(tmp_path: Path, value: Any, expected: float) -> None:
    path = tmp_path / "x.tfevents.x"
    event = Event(step=7, wall_time=1.0, summary=Summary(value=[value]))
    path.write_bytes(framed(event.SerializeToString()))
    assert values(path) == [(7, {"loss": expected})]


def test_a_loss_that_is_not_a_number_is_measured(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path, [("loss", 1, math.nan)]))[0]
    assert math.isnan(row.values["loss"])


@pytest.mark.parametrize(
    "value",
    [
        tensor(dtype=STRING, string_val=[b"2.5"]),
        tensor(dtype=FLOAT, float_val=[1.0, 2.0], tensor_shape={"dim": [{"size": 2}]}),
        Summary.Value(tag="loss", histo={"num": 3.0}),
    ],
)
def test_what_is_no_scalar_is_no_loss(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "x.tfevents.x"
    path.write_bytes(framed(Event(step=7, summary=Summary(value=[value])).SerializeToString()))
    with pytest.raises(NoRun, match="holds no scalars"):
        read(path)


def test_a_writer_that_was_told_no_step_has_its_rows_counted(tmp_path: Path) -> None:
    path = write(tmp_path, [(tag, 0, float(value)) for value in range(3) for tag in ("loss", "lr")])
    rows, notes = read(path)
    assert [(row.step, row.values["loss"]) for row in rows] == [(1, 0.0), (2, 1.0), (3, 2.0)]
    assert notes == [f"{path}: every step is the same: rows are counted from 1"]


def test_two_values_at_a_step_are_two_rows(tmp_path: Path) -> None:
    path = write(tmp_path, [("loss", 0, 1.0), ("loss", 1, 2.0), ("loss", 1, 3.0), ("lr", 1, 0.5)])
    assert values(path) == [(0, {"loss": 1.0}), (1, {"loss": 2.0}), (1, {"loss": 3.0, "lr": 0.5})]


def test_the_loss_may_be_any_tag_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, [("policy/objective", 1, 2.5), ("accuracy", 1, 0.5)])
    assert values(path, metric="policy/objective") == [(1, {"loss": 2.5})]
    with pytest.raises(NoRun, match=r"no tag loss or .* \(tags: accuracy, policy/objective\)"):
        read(path)
    with pytest.raises(NoRun, match=r"no tag nll \(tags: accuracy, policy/objective\); .* --metric"):
        read(path, metric="nll")


def test_another_tag_that_could_be_the_loss_is_told_but_not_that_of_a_summary(tmp_path: Path) -> None:
    path = write(tmp_path, [(tag, step, 2.0) for step in (1, 2) for tag in ("train/loss", "total_loss")])
    assert read(path)[1] == [
        f"{path}: train/loss is taken as the loss, not total_loss: choose with --metric NAME"
    ]
    once = write(tmp_path / "once", [("train/loss", 1, 2.0), ("train/loss", 2, 2.0), ("train_loss", 2, 2.0)])
    assert read(once)[1] == []


def test_a_step_column_is_for_other_files_and_that_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, losses(1, 2))
    rows, notes = read(path, step="epoch")
    assert len(rows) == 2
    assert notes == [f"{path}: event files tell the step themselves: --step-column is for other files"]


def test_a_step_below_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match="loss has step -5; steps run from 0"):
        read(write(tmp_path, [("loss", -5, 2.5)]))


# --- restarts ---


def test_a_restart_in_the_same_folder_goes_on_in_the_order_in_which_files_were_begun(tmp_path: Path) -> None:
    second = write(tmp_path, [("loss", 3, 30.0), ("lr", 3, 0.5), ("loss", 4, 40.0)], begun=9000.0)
    first = write(tmp_path, [*losses(1, 4), ("lr", 4, 0.25)])
    begin_at(first, 900.0)
    begin_at(second, 8999.0)
    assert values(tmp_path) == [
        (1, {"loss": 1.0}),
        (2, {"loss": 2.0}),
        (3, {"loss": 3.0}),
        (4, {"loss": 4.0, "lr": 0.25}),
        (3, {"loss": 30.0, "lr": 0.5}),
        (4, {"loss": 40.0}),
    ]


def test_a_restart_that_only_one_tag_tells_is_one_for_all(tmp_path: Path) -> None:
    scalars = [("grad_norm", 95, 1.0), ("grad_norm", 100, 1.0), ("loss", 100, 2.0), ("grad_norm", 107, 1.0)]
    again = [("grad_norm", 98, 7.0), ("grad_norm", 100, 7.0), ("loss", 100, 3.0)]
    path = write(tmp_path, [*scalars, *again])
    assert values(path)[2:] == [
        (107, {"grad_norm": 1.0}),
        (98, {"grad_norm": 7.0}),
        (100, {"grad_norm": 7.0, "loss": 3.0}),
    ]


# --- what crashes leave ---


@pytest.mark.parametrize("lost", [1, 4, 5, 20])
def test_a_last_record_that_is_cut_off_is_left_out_and_told(tmp_path: Path, lost: int) -> None:
    path = write(tmp_path, losses(1, 3))
    whole = path.stat().st_size
    record = len(framed(Event(step=3, wall_time=1.0).SerializeToString()))
    assert lost < record < whole
    path.write_bytes(path.read_bytes()[:-lost])
    rows, notes = read(path)
    assert [row.step for row in rows] == [1, 2]
    (note,) = notes
    assert note.startswith(f"{path}: the record at byte ")
    assert note.endswith(" is cut off, and left out: it is still being written, or its writer was killed")


def test_a_header_that_is_cut_off_is_a_record_that_is(tmp_path: Path) -> None:
    path = write(tmp_path, losses(1, 3))
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\x20\x00\x00")
    rows, notes = read(path)
    assert len(rows) == 3
    assert f"the record at byte {size} is cut off" in notes[0]


@pytest.mark.parametrize(("place", "what"), [(-6, "data"), (None, "length")])
def test_a_damaged_record_is_told_with_its_place_and_what_came_before_is_read(
    tmp_path: Path, place: int | None, what: str
) -> None:
    path = write(tmp_path, losses(1, 3))
    whole = path.read_bytes()
    last = len(write(tmp_path / "two", losses(1, 2)).read_bytes())
    broken = bytearray(whole)
    broken[last if place is None else place] ^= 1
    path.write_bytes(broken)
    rows: list[Row] = []
    with pytest.raises(DamagedRun) as caught:
        rows.extend(read_rows(path, Columns(), print))
    why = f"the record at byte {last} is damaged: its {what} has another checksum"
    assert [row.step for row in rows] == [1, 2]
    assert str(caught.value) == f"{path}: {path.name}: {why}; what came before it was read"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_happens_to_a_file_what_is_read_of_it_is_true(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("run")
    path = write(folder, losses(1, 5))
    whole = path.read_bytes()
    end = data.draw(st.integers(0, len(whole)))
    broken = bytearray(whole[:end])
    for place in data.draw(st.lists(st.integers(0, max(0, end - 1)), max_size=2)):
        broken[place : place + 1] = data.draw(st.binary(min_size=1, max_size=2))
    path.write_bytes(broken)
    rows: list[Row] = []
    with suppress(UnreadableRun):
        rows.extend(read_rows(path, Columns(), lambda _: None))
    assert [row.values["loss"] for row in rows] == [1.0, 2.0, 3.0, 4.0, 5.0][: len(rows)]


def test_a_damaged_file_does_not_keep_the_next_from_being_read(tmp_path: Path) -> None:
    first = write(tmp_path, losses(1, 3))
    write(tmp_path, losses(4, 5), begun=2000.0)
    begin_at(first, 500.0)
    first.write_bytes(first.read_bytes()[:-6] + b"\0\0\0\0\0\0")
    rows: list[Row] = []
    with pytest.raises(DamagedRun, match="damaged: its data"):
        rows.extend(read_rows(tmp_path, Columns(), print))
    assert [row.step for row in rows] == [1, 2, 4, 5]


@pytest.mark.parametrize("content", [b"", framed(Event(file_version="brain.Event:2").SerializeToString())])
def test_a_file_with_no_scalars_is_no_run(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(content)
    with pytest.raises(NoRun, match="holds no scalars; give an event file in which a loss was logged"):
        read(path)


def test_other_bytes_under_the_name_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"step,loss\n1,2.0\n")
    with pytest.raises(DamagedRun, match="record at byte 0 is damaged: its length has another checksum"):
        read(path)
    path.write_bytes(framed(b"\xff\xff\xff"))
    with pytest.raises(DamagedRun, match="record at byte 0 holds no event"):
        read(path)


def test_without_the_extra_it_is_told_what_to_install(tmp_path: Path) -> None:
    path = write(tmp_path, losses(1, 3))
    code = (
        "import sys; sys.modules['tensorboard'] = None\n"
        "from pathlib import Path\n"
        "from trimtab_monitor.replay.columns import Columns\n"
        "from trimtab_monitor.replay.readers import read_rows\n"
        f"list(read_rows(Path({str(path)!r}), Columns(), print))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    told = done.stderr.splitlines()[-1]
    assert "is a TensorBoard event file, and to read it takes tensorboard; pip install 'trimtab[" in told
