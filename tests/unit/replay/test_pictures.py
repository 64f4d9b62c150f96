"""Pictures of replayed runs: what was usual at every moment, and that every run can be drawn."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trimtab import wire
from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.replay.bands import usual
from trimtab_monitor.replay.closeups import MOST_CLOSEUPS, MOST_ROWS, chosen, draw_closeup
from trimtab_monitor.replay.panel import draw_curve, head, relived_rows
from trimtab_monitor.replay.plot import draw
from trimtab_monitor.replay.runner import Options, Replayed, replay_file
from trimtab_monitor.types import Incident, Sample


def learned(metric: str, offset: float, seed: int) -> DetectorSet:
    """Detectors that have seen some quiet noise of a metric."""
    noise, detectors = random.Random(seed), DetectorSet()
    for step in range(100):
        detectors.update(Sample(step, float(step), {metric: offset + noise.gauss(0, 0.05)}))
    return detectors


@pytest.mark.parametrize(
    ("metric", "kind", "offset"),
    [
        (wire.LOSS, "loss_spike", 2.0),
        (wire.LOSS, "loss_spike", -3.0),
        (wire.GRAD_NORM, "grad_explosion", 2.0),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_value_above_the_limit_is_marked_and_one_below_is_not(
    metric: str, kind: str, offset: float, seed: int
) -> None:
    expected, limit = usual(learned(metric, offset, seed), metric)
    assert limit > expected
    assert expected == pytest.approx(offset, abs=0.05)
    for factor, marked in [(1.01, True), (0.99, False)]:
        value = expected + factor * (limit - expected)
        found = learned(metric, offset, seed).update(Sample(100, 100.0, {metric: value}))
        assert [finding.kind for finding in found if finding.kind == kind] == [kind] * marked


def test_before_it_is_learned_nothing_is_usual() -> None:
    assert all(map(math.isnan, usual(DetectorSet(), wire.LOSS)))
    assert all(map(math.isnan, usual(DetectorSet(), wire.EVAL_LOSS)))


def replayed(folder: Path, rows: list[str], header: str = "step,loss,grad_norm") -> Replayed:
    path = folder / "run.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return replay_file(path, Options(keep_curves=True))


def drawn(runs: list[Replayed], path: Path) -> tuple[int, int]:
    """Draw, and return the size of the picture in pixels."""
    draw(runs, path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n")
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def spiky(folder: Path, spikes: int) -> Replayed:
    """Each is so much higher than the one before that it is told by itself."""
    noise = random.Random(4)

    def height(step: int) -> float:
        return 3.0 * 4.0 ** (step // 50 - 2) if step >= 100 and step % 50 < 3 else 0.0

    rows = [
        f"{step},{2 + noise.gauss(0, 0.02) + height(step)},{1 + step % 3 / 20}"
        for step in range(100 + 50 * spikes)
    ]
    return replayed(folder, rows)


def test_the_gravest_incidents_are_drawn_from_near_and_many_runs_without(tmp_path: Path) -> None:
    run = spiky(tmp_path, spikes=8)
    assert len(run.incidents) == 8
    assert len(chosen(run)) == MOST_CLOSEUPS
    _, alone = drawn([run], tmp_path / "one.png")
    _, many = drawn([run] * 7, tmp_path / "many.png")
    assert many < 6.5 * alone


def test_a_run_that_lived_steps_again_is_drawn(tmp_path: Path) -> None:
    rows = [f"{step},{2 + step % 3 / 50},1.0" for step in range(60)]
    run = replayed(tmp_path, [*rows, "60,9.0,1.0", "61,9.0,30.0", *rows[50:], "60,nan,inf"])
    assert [incident.attempt for incident in run.incidents][-1] == 1
    drawn([run], tmp_path / "out.png")


def closeup(run: Replayed) -> tuple[Axes, Incident]:
    """The gravest incident of a run from near."""
    (incident,) = chosen(run)[:1]
    axes = Figure().add_subplot()
    draw_closeup(axes, run, incident, 1)
    return axes, incident


def test_however_long_it_took_to_notice_it_is_in_the_close_up_with_every_peak(tmp_path: Path) -> None:
    steps = 20_000
    rows = [f"{step},{9.0 if step == 15_003 else 2.0 + step % 3 / 50},1.0" for step in range(steps)]
    run = replayed(tmp_path, rows)
    spike = run.incidents[0]
    run = replace(run, incidents=[replace(spike, start_step=1_000, detected_step=15_010, end_step=16_000)])
    axes, _ = closeup(run)
    drawn_values = [np.asarray(line.get_ydata()) for line in axes.lines]
    left, right = axes.get_xlim()
    assert left <= 1_000 < 15_010 <= right
    assert max(np.nanmax(values, initial=0.0) for values in drawn_values) == 9.0
    assert max(len(values) for values in drawn_values) <= MOST_ROWS


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("runs/wide/log.csv", "wide/log.csv"),
        ("wide/lr3/events.out.tfevents.17.host.1.0", "wide/lr3/events.out.tfevents.17.host.1.0"),
        ("runs/a_name_of_more_than_24_letters.csv", "runs/a_name_of_more_than_24_letters.csv"),
        ("-", "standard input"),
    ],
)
def test_a_picture_says_of_which_run_it_is(path: str, title: str) -> None:
    (part,) = Figure().subfigures(1, 1, squeeze=False)[:, 0]
    head(part, Replayed(Path(path)))
    assert part.get_suptitle() == title


def test_steps_and_values_are_written_in_full(tmp_path: Path) -> None:
    run = replayed(tmp_path, [f"{1_500_000 + step},{1000 + step % 3 / 50},1.0" for step in range(50)])
    figure = Figure()
    axes = figure.add_subplot()
    draw_curve(axes, run, wire.LOSS)
    assert axes.xaxis.get_major_formatter()(1_500_020) == "1,500,020"
    figure.draw_without_rendering()
    assert axes.yaxis.get_offset_text().get_text() == ""


def test_only_what_was_lived_again_is_pale(tmp_path: Path) -> None:
    rows = [f"{step},2.0,1.0" for step in (*range(60), *range(40, 80), *range(50, 60))]
    curve = replayed(tmp_path, rows).curves[wire.LOSS]
    pale = relived_rows(curve)
    assert [int(step) for step in np.array(curve.steps)[pale]] == [*range(40, 60), *range(50, 80)]


NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0.5, 2.0),
    st.sampled_from([0.0, -1.0, 1e-30, 1e30, 1e300, -1e300]),
)


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    rows=st.lists(st.tuples(st.integers(0, 2**53), st.none() | NUMBERS, st.none() | NUMBERS), min_size=1),
    quiet=st.integers(0, 60),
)
def test_whatever_was_recorded_can_be_drawn(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float | None, float | None]], quiet: int
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    lines = [f"{step},2.0,1.0" for step in range(quiet)]
    lines += [",".join("" if cell is None else repr(cell) for cell in row) for row in rows]
    drawn([replayed(folder, lines)], folder / "out.png")
