"""How a tool's figure is held against the truth, and how that is told."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

import energy
from energy_bench.board import Board
from energy_bench.cases import COUNTER, Case
from energy_bench.racing import Result
from energy_bench.report import cpu_table, table
from energy_bench.trace import steps

CASE = Case("constant", COUNTER, 10.0, (Board("GPU-0", steps((10.0, 100.0), idle_w=10.0)),))
TOLD = {"called": 98.0, "began": 100.0, "asked_to_end": 110.0, "ended": 112.0, "cpu_s": 0.6}


def result(joules: float, **told: Any) -> Result:
    return Result(CASE, "trimtab", {**TOLD, "joules": joules, **told}, start_s=100.0)


@pytest.mark.parametrize(("joules", "error"), [(1000, 0), (1040, 0), (990, -0.01), (1050, 0.01)])
def test_a_tool_has_the_benefit_of_the_doubt_while_it_starts_and_stops(joules: float, error: float) -> None:
    assert result(joules).error() == pytest.approx(error)


def test_a_line() -> None:
    line = result(990, low_j=980.0, high_j=1010.0, gap_seconds=0.5).line()

    assert line == {
        "trace": "constant",
        "board": "counter",
        "tool": "trimtab",
        "true_j": 1000.0,
        "joules": 990,
        "error_pct": pytest.approx(-1.0),
        "cpu_pct": pytest.approx(5.0),
        "low_j": 980.0,
        "high_j": 1010.0,
        "gap_seconds": 0.5,
    }


def test_a_tool_that_told_nothing_is_told_with_its_problem() -> None:
    told = [result(1000, low_j=990.0, high_j=1005.0, gap_seconds=0.0).line()]
    failed = replace(result(0), tool="zeus window", problem="hangs").line()

    rows = table([*told, failed]).splitlines()

    assert rows[0].startswith("| Trace | Board | trimtab |")
    assert rows[2] == "| constant | counter | +0.00 | - | - | hangs | -1.0 .. +0.5 | 0.0 |"


def test_an_interval_without_the_truth_is_marked() -> None:
    rows = table([result(900, low_j=890.0, high_j=910.0, gap_seconds=0.0).line()])

    assert "-11.0 .. -9.0 **not held**" in rows


def test_tables_of_earlier_runs_are_of_races_only() -> None:
    told = result(1000, low_j=990.0, high_j=1005.0, gap_seconds=0.0).line()
    alone = {**told, "tool": "zeus power", "cpu_pct": 200.0}
    out = StringIO()

    energy.show_tables(
        [
            {"benchmark": "energy race", **told},
            {"benchmark": "energy poll", **alone},
            {"benchmark": "energy cost"},
        ],
        out,
    )

    assert "| constant | counter | +0.00 |" in out.getvalue()
    assert "zeus power" not in out.getvalue()


def test_processor_time_by_tool() -> None:
    rows = cpu_table([result(1000).line(), result(1000, cpu_s=0.12).line()]).splitlines()

    assert rows[2] == "| trimtab | 5.00 | 5.00 |"
