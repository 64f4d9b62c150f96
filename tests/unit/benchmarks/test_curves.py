"""Reading a folder of labelled curves, and what is said of one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detection_bench.curves import CurvesError, Event, read_folder

INDEX = 'file,source_repo,notes\na.csv,some/where,"group=family (alike); sel=targeted"\n'
LABELS = "file,kind,start_step,peak_step,end_step,severity,comment\n"
CURVE = "step,loss,grad_norm\n10,2.5,1\n20,nan,inf\n30,2.25,\n"


def folder(path: Path, labels: str = "", index: str = INDEX, curve: str = CURVE) -> Path:
    (path / "INDEX.csv").write_text(index)
    (path / "LABELS.csv").write_text(LABELS + labels)
    (path / "a.csv").write_text(curve)
    return path


def test_a_curve_with_its_source_group_and_values(tmp_path: Path) -> None:
    (curve,) = read_folder(folder(tmp_path))

    assert (curve.name, curve.source, curve.group, curve.targeted) == ("a.csv", "some/where", "family", True)
    assert list(curve.steps) == [10, 20, 30]
    np.testing.assert_array_equal(curve.loss, [2.5, np.nan, 2.25])
    np.testing.assert_array_equal(curve.columns["grad_norm"], [1.0, np.inf, np.nan])


def test_events_are_in_rows_and_end_where_their_kind_ends(tmp_path: Path) -> None:
    labels = (
        "a.csv,spike,20,20,30,minor,one point\n"
        "a.csv,spike,15,20,,major,[en-bloc] many\n"
        "a.csv,divergence,20,30,,major,uncertain where it begins\n"
        "a.csv,nan,20,20,,major,\n"
        "a.csv,clean,,,,,\n"
    )

    (curve,) = read_folder(folder(tmp_path, labels))

    assert list(curve.events) == [
        Event("spike", 1, 2, "minor"),
        Event("spike", 1, 1, "major", certain=False),
        Event("divergence", 1, 3, "major", certain=False),
        Event("nan", 1, 3, "major"),
    ]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"index": "file,notes\n"}, "INDEX.csv: no column 'source_repo'"),
        ({"index": "file,source_repo,notes\n"}, "INDEX.csv: names no curve"),
        ({"index": "file,source_repo,notes\nb.csv,x,\n"}, "b.csv: no such file"),
        ({"labels": "b.csv,spike,1,1,1,major,\n"}, "'b.csv' is not in INDEX.csv"),
        ({"labels": "a.csv,spike,soon,1,1,major,\n"}, "LABELS.csv:2: column start_step holds 'soon'; give a"),
        ({"labels": "a.csv,spike,,20,20,major,\n"}, "LABELS.csv:2: column start_step holds ''; give a"),
        ({"labels": "a.csv,spike,inf,20,20,major,\n"}, "LABELS.csv:2: column start_step holds 'inf'; give"),
        ({"labels": "a.csv,spike,40,,,major,\n"}, "LABELS.csv:2: start_step 40 is after the last step, 30"),
        ({"labels": "a.csv,spike,30,,10,major,\n"}, "LABELS.csv:2: it ends before it starts, at step 30"),
        ({"labels": "a.csv,spke,20,,20,major,\n"}, "LABELS.csv:2: unknown kind 'spke'; give one of spike, "),
        ({"labels": "a.csv,spike,20,,20,Major,\n"}, "LABELS.csv:2: unknown severity 'Major'; give one of m"),
        ({"labels": "a.csv,spike,20,,20,major,a,b\n"}, "LABELS.csv:2: 8 cells where the header has 7; put t"),
        ({"labels": "\0\x81"}, "LABELS.csv:2: '.*' is not in INDEX.csv"),
        ({"index": INDEX + "a.csv,x,\n"}, "INDEX.csv:3: 'a.csv' stands here for the second time; remove one"),
        ({"curve": "step,loss\n"}, "a.csv: has no rows; give a curve of at least one"),
        ({"curve": "step,loss\n,2\n"}, "a.csv:2: column step holds ''; give a number"),
        ({"curve": "step,value\n1,2\n"}, "a.csv: no column 'loss'"),
        ({"curve": "step,loss\n1,high\n"}, "a.csv:2: column loss holds 'high'; give a number"),
    ],
)
def test_a_wrong_folder_is_told_with_the_file_and_the_remedy(
    tmp_path: Path, changed: dict[str, str], says: str
) -> None:
    with pytest.raises(CurvesError, match=says):
        read_folder(folder(tmp_path, **changed))


def test_bytes_are_no_table(tmp_path: Path) -> None:
    (folder(tmp_path) / "LABELS.csv").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(CurvesError, match=r"LABELS.csv: is not CSV text .*; save it as CSV in UTF-8"):
        read_folder(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CurvesError, match=r"nowhere/INDEX.csv: no such file.*give --curves a folder"):
        read_folder(tmp_path / "nowhere")
