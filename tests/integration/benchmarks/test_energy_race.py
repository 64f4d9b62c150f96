"""A race on the real clock: our own tool, in a process of its own, on the make-believe driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy_bench.board import Board
from energy_bench.cases import COUNTER, Case
from energy_bench.racing import TRIMTAB, race
from energy_bench.tool_process import Contender
from energy_bench.trace import steps


def test_trimtab_and_one_that_fails(driver_library: Path, tmp_path: Path) -> None:
    case = Case("constant", COUNTER, 2.0, (Board("GPU-0", steps((2.0, 500.0))),))
    broken = Contender("broken", "no_such_tool", "")

    ours, other = race(case, [TRIMTAB, broken], driver_library, tmp_path, import_s=2.0)

    assert ours.problem is None
    assert ours.error() == pytest.approx(0.0, abs=0.05)
    assert other.problem is not None
    assert "no_such_tool" in other.problem
