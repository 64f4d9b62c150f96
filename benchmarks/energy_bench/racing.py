"""Lets tools measure one case at the same time, each in its own process, on the same make-believe boards."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from energy_bench.cases import COUNTER, CPU, Case
from energy_bench.driver import Script, environment
from energy_bench.powercap import PowercapTree, Writer
from energy_bench.tool_process import Contender, Stage, ToolError, ToolProcess, start
from energy_bench.trace import Ramp, Trace

IMPORT_S: Final = 12.0
"""From the start of the processes: their imports take a while."""
SET_UP_S: Final = 8.0
"""So long before the job peers are started: some take seconds, while the boards draw next to nothing."""
_REST_W: Final = 1.0
"""What a board draws before and after the job: next to nothing, as a peer's edges are not sharp."""

TRIMTAB: Final = Contender("trimtab", "trimtab_tool", "")
CODECARBON: Final = Contender("codecarbon 15 s", "codecarbon_tool", "codecarbon", "15")
CODECARBON_1: Final = Contender("codecarbon 1 s", "codecarbon_tool", "codecarbon", "1")
ZEUS: Final = Contender("zeus window", "zeus_tool", "zeus", "window")
ZEUS_POWER: Final = Contender("zeus power 0.1 s", "zeus_tool", "zeus", "0.1")
ZEUS_POWER_BARE: Final = Contender("zeus power", "zeus_tool", "zeus", "0")
"""As it is shipped: it polls without a pause and fills the machine's cores, so it must race alone."""


def contenders(case: Case) -> list[Contender]:
    """Return who measures a case; Zeus in the way that it has for the boards."""
    zeus = ZEUS if case.kind in (COUNTER, CPU) else ZEUS_POWER
    return [TRIMTAB, CODECARBON, CODECARBON_1, zeus]


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool told of a case. `problem` says why it told nothing."""

    case: Case
    tool: str
    told: Mapping[str, Any]
    start_s: float
    problem: str | None = None

    def error(self) -> float:
        """Return its error as a share of the truth, at the edges of the job that are best for it."""
        called, began, asked, ended = (
            self.told[name] - self.start_s for name in ("called", "began", "asked_to_end", "ended")
        )
        least, most = self.case.truth_j(began, asked), self.case.truth_j(called, ended)
        joules = self.told["joules"]
        nearest = min(max(joules, least), most)
        return float((joules - nearest) / least)

    def line(self) -> dict[str, Any]:
        """The line of JSON."""
        asked = {"trace": self.case.trace, "board": self.case.kind, "tool": self.tool}
        if self.problem is not None:
            return {**asked, "problem": self.problem}
        began, ended = self.told["began"] - self.start_s, self.told["asked_to_end"] - self.start_s
        wall_s = self.told["asked_to_end"] - self.told["called"]
        told = {name: self.told[name] for name in ("low_j", "high_j", "gap_seconds") if name in self.told}
        return {
            **asked,
            "true_j": self.case.truth_j(began, ended),
            "joules": self.told["joules"],
            "error_pct": 100 * self.error(),
            "cpu_pct": 100 * self.told["cpu_s"] / wall_s,
            **told,
        }


def race(
    case: Case, tools: Sequence[Contender], library: Path, folder: Path, *, import_s: float = IMPORT_S
) -> list[Result]:
    """Let tools measure a case side by side; the job begins when all have been imported and set up."""
    set_up_s = SET_UP_S if any(tool.distribution for tool in tools) else 0.0
    start_s = time.monotonic() + import_s + set_up_s
    case = _at_rest_around(case)
    script = Script(case.boards, start_s)
    driver = environment(library, script.write(folder / "script"))
    with _sys_class(case, folder, script) as sys_class:
        stage = Stage(folder, driver, sys_class)
        running = [(tool, _start(tool, stage, case, start_s)) for tool in tools]
        return [_result(case, tool, process, start_s) for tool, process in running]


def _at_rest_around(case: Case) -> Case:
    before = Ramp(-1e3, 0.0, _REST_W, _REST_W)
    after = Ramp(case.seconds, 1e6, _REST_W, _REST_W)

    def at_rest(trace: Trace) -> Trace:
        return replace(trace, pieces=(before, *trace.pieces, after))

    boards = tuple(replace(board, trace=at_rest(board.trace)) for board in case.boards)
    zones = tuple(replace(zone, trace=at_rest(zone.trace)) for zone in case.zones)
    return replace(case, boards=boards, zones=zones)


@contextmanager
def _sys_class(case: Case, folder: Path, script: Script) -> Iterator[Path | None]:
    """Keep a powercap tree going, if the case has one; yield what stands for /sys/class."""
    if not case.zones:
        yield None
        return
    tree = PowercapTree(folder / "class" / "powercap", case.zones)
    with Writer(tree, script.now_s):
        yield folder / "class"
    tree.close()


def _start(tool: Contender, stage: Stage, case: Case, start_s: float) -> ToolProcess | str:
    begin_s = start_s - SET_UP_S if tool.distribution else start_s
    try:
        return start(tool, stage, "cpu" if case.zones else "gpu", begin_s, start_s + case.seconds)
    except ToolError as error:
        return str(error)


def _result(case: Case, tool: Contender, process: ToolProcess | str, start_s: float) -> Result:
    if isinstance(process, str):
        return Result(case, tool.name, {}, start_s, process)
    try:
        return Result(case, tool.name, process.told(), start_s)
    except ToolError as error:
        return Result(case, tool.name, {}, start_s, str(error))
