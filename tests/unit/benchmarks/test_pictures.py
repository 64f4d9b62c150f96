"""The pictures are drawn for whatever was found, nothing included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detection_bench.closeups import draw_closeups
from detection_bench.curves import Curve, Event
from detection_bench.picture import draw, places
from detection_bench.running import Judged, judge
from detection_bench.verdict import Verdict


def judged(made: Curve, *alarms: int) -> Judged:
    return judge("made", lambda curve: Verdict.at(alarms, np.zeros(curve.rows)), [made])


def curve(*events: Event) -> Curve:
    loss = np.ones(300)
    loss[120] = np.nan
    return Curve("made.csv", range(300), {"loss": loss, "grad_norm": loss}, events)


SPIKE = Event("spike", 100, 110)


def test_detectors_at_one_place_share_a_label_of_their_numbers() -> None:
    made = curve(SPIKE)
    perfect, silent = judged(made, 100), judged(made)
    assert [(names, at) for names, at, _ in places([silent, perfect, perfect])] == [
        ("3", (0.0, 0.0)),
        ("1, 2", (1.0, 1.0)),
    ]


@pytest.mark.parametrize("alarms", [(), (100,), (5, 100, 299)])
@pytest.mark.parametrize("events", [(), (SPIKE,)])
def test_both_pictures(tmp_path: Path, alarms: tuple[int, ...], events: tuple[Event, ...]) -> None:
    made = curve(*events)
    found = judged(made, *alarms)

    draw([found, found], tmp_path / "all.png")
    draw_closeups(found, [made], tmp_path / "near.png")

    for name in ("all.png", "near.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
