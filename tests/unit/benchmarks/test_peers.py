"""Each peer does what its description says, the known weaknesses included."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from numpy.random import default_rng

from detection_bench.curves import Curve, Values
from detection_bench.peers import PEERS


def curve(loss: Values, grad_norm: Values | None = None) -> Curve:
    columns = {"loss": loss} if grad_norm is None else {"loss": loss, "grad_norm": grad_norm}
    return Curve("made.csv", range(len(loss)), columns)


def flat(rows: int = 600, level: float = 2.0, sigma: float = 0.02) -> Values:
    return level + sigma * default_rng(1).standard_normal(rows)


def rows_of(name: str, made: Curve) -> list[int]:
    return [alarm.row for alarm in PEERS[name](made).alarms]


def test_kill_loss_spike_fires_at_the_fifth_loss_in_a_row_at_twice_the_mean() -> None:
    loss = flat()
    loss[300:306] = 5.0

    assert rows_of("KillLossSpike", curve(loss)) == [304, 305]


def test_kill_loss_spike_is_blind_for_a_window_after_a_nan() -> None:
    loss = flat()
    loss[300] = nan
    loss[320:360] = 20.0

    assert rows_of("KillLossSpike", curve(loss)) == []


def test_lightning_fires_from_three_times_the_mean_and_at_what_is_not_finite() -> None:
    loss = np.full(100, 2.0)
    loss[[20, 40, 60]] = 5.98, 6.0, inf

    assert rows_of("Lightning SpikeDetection", curve(loss)) == [40, 60]


def test_megatron_compares_with_the_largest_of_the_first_hundred_for_good() -> None:
    loss = np.full(300, 2.0)
    loss[5] = 3.0
    loss[[150, 200, 250]] = 29.0, 30.0, nan

    assert rows_of("Megatron spiky loss", curve(loss)) == [200, 250]


def test_olmo_core_in_hindsight_fires_above_thirty_sigma_of_32() -> None:
    loss = flat()
    loss[[300, 400, 500]] = 2.3, 3.2, nan

    assert rows_of("OLMo-core loss, best in hindsight", curve(loss)) == [400, 500]


def test_olmo_core_fires_above_six_sigma_and_is_blind_for_128_rows_after_a_nan() -> None:
    loss = flat()
    loss[300] = 2.2
    loss[400] = nan
    loss[450] = 9.0

    assert rows_of("OLMo-core loss", curve(loss)) == [300, 400]


def test_olmo_core_also_looks_at_the_gradient_norm() -> None:
    norm = flat(level=1.0)
    norm[300] = 3.0

    assert rows_of("OLMo-core loss+grad", curve(flat(), norm)) == [300]


def test_the_olmo_2_paper_counts_both_sides_after_a_thousand_rows() -> None:
    loss = flat(1500)
    loss[[500, 1200, 1300]] = 2.5, 2.4, 1.6

    assert rows_of("OLMo 2 paper", curve(loss)) == [1200, 1300]


def test_dlib_fires_at_the_next_synchronisation_after_a_rise() -> None:
    loss = flat(1200)
    loss[400:] += 0.2

    assert rows_of("dlib slope", curve(loss)) == [599]


def test_zclip_fires_above_its_z_and_never_after_a_nan() -> None:
    norm = flat(level=1.0)
    norm[200] = 1.5
    norm[300] = nan
    norm[400] = 9.0

    fired = rows_of("ZClip z-score", curve(flat(), norm))

    assert 200 in fired
    assert not [row for row in fired if row >= 300]


def test_trainscope_fires_on_a_drift_and_passes_over_a_nan() -> None:
    loss = flat()
    loss[300] = nan
    loss[400:] += 0.1 * 0.02 * np.arange(200)

    fired = rows_of("trainscope CUSUM", curve(loss))

    assert 300 not in fired
    assert any(410 < row < 440 for row in fired)


def test_intern_evo_compares_with_the_step_before() -> None:
    loss = np.full(100, 2.0)
    loss[[20, 40, 60]] = 2.9, 3.1, nan

    assert rows_of("InternEvo ratio", curve(loss)) == [40]


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("rows", [0, 1, 40])
def test_every_peer_takes_a_short_curve_and_one_of_nothing_but_nan(name: str, rows: int) -> None:
    for loss in (flat(rows), np.full(rows, nan)):
        verdict = PEERS[name](curve(loss, flat(rows)))

        assert verdict.scores is None or len(verdict.scores) == rows


@pytest.mark.parametrize("name", sorted(PEERS.keys() - {"KillLossSpike"}))
def test_what_a_peer_says_of_a_row_depends_on_no_later_one(name: str) -> None:
    """But KillLossSpike, whose window is a share of the planned length of the run."""
    loss, norm = flat(1400), flat(1400, 1.0)
    loss[1100:1110] += 3.0

    whole = rows_of(name, curve(loss, norm))
    part = rows_of(name, curve(loss[:1200], norm[:1200]))

    assert part == [row for row in whole if row < 1200]
