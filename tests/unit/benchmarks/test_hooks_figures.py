"""The statistics of the hooks' benchmark."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hooks_bench.cost import LEAST_STEPS, Load, figures, loads
from hooks_bench.figures import median_estimate, percent_more, quantile
from hooks_bench.processes import Done
from hooks_bench.report import cell, ratios, table, with_ratios


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_a_quantile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert quantile(range(1, 101), share) == value


def test_the_interval_of_a_median_holds_it_and_narrows_with_more_values() -> None:
    drawn = random.Random(7)
    values = [drawn.gauss(5.0, 1.0) for _ in range(1600)]

    few, many = median_estimate(values[:25]), median_estimate(values)

    assert few.low < few.value < few.high
    assert many.low < 5.0 < many.high
    assert many.high - many.low < (few.high - few.low) / 4


def test_percent_more_compares_within_pairs_whatever_the_pace_of_the_machine() -> None:
    estimate = percent_more([(pace, pace * 1.02) for pace in (1.0, 5.0, 0.2, 3.0)])

    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((2.0, 2.0, 2.0))


def test_a_slow_client_is_given_its_share_of_the_steps_but_enough_to_tell_a_median() -> None:
    assert Load(3, "busy", 10_000).steps_for("floor") == 10_000
    assert Load(3, "busy", 10_000).steps_for("mlflow") == 500
    assert Load(1000, "busy", 200).steps_for("mlflow") == LEAST_STEPS
    assert {(load.width, load.pace) for load in loads([3], 0.001)} == {(3, "back to back"), (3, "busy")}
    assert {load.steps for load in loads([3, 100, 1000], 0.001)} == {LEAST_STEPS}


def test_figures_sum_up_a_process_with_its_helpers() -> None:
    answer = {
        "version": "1.2",
        "taken_ns": [*[1_000] * 98, 7_000, 9_000],
        "last_call": 100.0,
        "open_s": 0.25,
        "open_cpu_s": 0.5,
        **dict.fromkeys(("rss_mb", "added_mb", "peak_mb", "helpers_mb"), 1.0),
    }

    found = figures(Done(answer, {"cpu_s": 1.5, "helpers_cpu_s": 2.0, "gone": 103.0}), 100)

    assert (found["median_us"], found["p99_us"], found["max_us"]) == (1.0, 9.0, 9.0)
    assert (found["cpu_s"], found["cpu_after_open_s"], found["exit_s"]) == (3.5, 3.0, 3.0)
    assert (found["version"], found["steps"]) == ("1.2", 100)


def test_ratios_are_to_trimtab_and_to_the_floor_of_the_same_load() -> None:
    floor = {"client": "floor", "median_us": 0.5, "p99_us": 1.0}
    own = {"client": "trimtab", "median_us": 1.0, "p99_us": 4.0}
    peer = {"client": "trackio", "median_us": 8.0, "p99_us": 40.0}
    absent = {"client": "aim", "absent": "it is not installed"}

    lines = with_ratios([floor, own, peer, absent])

    assert (lines[2]["median_ratio"], lines[2]["p99_ratio"]) == (8.0, 10.0)
    assert lines[2]["median_ratio_to_floor"] == 16.0
    assert lines[1]["median_ratio"] == 1.0
    assert lines[3] == absent
    assert ratios(peer, None, "ratio") == {}


def test_a_table_tells_why_something_was_not_measured() -> None:
    lines: list[dict[str, Any]] = [
        {"client": "wandb", "median_us": 12.3456},
        {"client": "aim", "failed": "exit status 1\nmore"},
    ]

    made = table("Cost", "client", lines, ("median_us", "steps"))

    assert [list(column.cells) for column in made.columns] == [
        ["wandb", "aim"],
        ["12.3", "exit status 1"],
        ["-", ""],
    ]


def test_a_cell_shows_the_interval_of_an_estimate() -> None:
    line = {"slower": 0.123, "slower_95": [-0.2, 0.456], "max_us": 12_345.6, "steps": 10_000}

    assert cell(line, "slower") == "+0.12 (-0.20 to +0.46)"
    assert cell(line, "max_us") == "12,346"
    assert cell(line, "steps") == "10,000"
