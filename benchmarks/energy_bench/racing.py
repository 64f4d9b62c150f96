"""Lets tools measure one case at the same time, each in its own process, on the same make-believe boards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from energy_bench.cases import COUNTER, CPU, Case
from energy_bench.driver import Script, environment
from energy_bench.powercap import PowercapTree, Writer
from energy_bench.trace import Ramp, Trace
from hooks_bench.interpreters import AbsentError, interpreter_for

BENCHMARKS: Final = Path(__file__).resolve().parents[1]
IMPORT_S: Final = 7.0
"""From the start of the processes: their imports take a while."""
SET_UP_S: Final = 8.0
"""So long before the job peers are started: some take seconds, while the boards draw next to nothing."""
_LEAD_W: Final = 1.0
_GRACE_S: Final = 25.0
"""How long after the job a tool may take to tell, before it is given up as hanging."""
_MOUNT: Final = 'mount --bind "$0" /sys/class && exec "$@"'


@dataclass(frozen=True, slots=True)
class Contender:
    """A tool, as it is set up: module, its distribution ("" for our own) and arguments after the part."""

    name: str
    module: str
    distribution: str
    argument: str = ""


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
        truth_j = self.case.truth_j(
            self.told["began"] - self.start_s, self.told["asked_to_end"] - self.start_s
        )
        wall_s = self.told["asked_to_end"] - self.told["called"]
        told = {name: self.told[name] for name in ("low_j", "high_j", "gap_seconds") if name in self.told}
        return {
            **asked,
            "true_j": truth_j,
            "joules": self.told["joules"],
            "error_pct": 100 * self.error(),
            "cpu_pct": 100 * self.told["cpu_s"] / wall_s,
            **told,
        }


@dataclass(frozen=True, slots=True)
class Running:
    """A tool at work; what it says goes to files, for its children may hold a pipe open for ever."""

    process: subprocess.Popen[bytes]
    said: Path
    errors: Path


def race(
    case: Case, tools: Sequence[Contender], library: Path, folder: Path, call_us: float = 0.0
) -> list[Result]:
    """Let tools measure a case side by side."""
    start_s = time.monotonic() + IMPORT_S + SET_UP_S
    boards = tuple(replace(board, trace=_at_rest_before(board.trace)) for board in case.boards)
    zones = tuple(replace(zone, trace=_at_rest_before(zone.trace)) for zone in case.zones)
    case = replace(case, boards=boards, zones=zones)
    script = Script(case.boards, start_s, call_us=call_us)
    environ = {**environment(library, script.write(folder / "script")), **_extra(folder)}
    with _powercap(case, folder, script) as mounted:
        running = [(tool, _start(tool, case, start_s, environ, folder, mounted)) for tool in tools]
        return [_result(case, tool, started, start_s) for tool, started in running]


def _at_rest_before(trace: Trace) -> Trace:
    return replace(trace, pieces=(Ramp(-1e3, 0.0, _LEAD_W, _LEAD_W), *trace.pieces))


@contextmanager
def _powercap(case: Case, folder: Path, script: Script) -> Iterator[Path | None]:
    """Keep a powercap tree going, if the case has one; yield what stands for /sys/class."""
    if not case.zones:
        yield None
        return
    tree = PowercapTree(folder / "class" / "powercap", case.zones)
    with Writer(tree, script.now_s):
        yield folder / "class"
    tree.close()


def _extra(folder: Path) -> dict[str, str]:
    """An `nvidia-smi` that runs (CodeCarbon sees no GPU where there is none), and where to import from."""
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(BENCHMARKS)}


def _start(
    tool: Contender,
    case: Case,
    start_s: float,
    environ: Mapping[str, str],
    folder: Path,
    mounted: Path | None,
) -> Running | str:
    try:
        python = interpreter_for(tool.distribution) if tool.distribution else sys.executable
    except AbsentError as error:
        return str(error)
    begin_s = start_s - SET_UP_S if tool.distribution else start_s
    asked = json.dumps({"begin": begin_s, "end": start_s + case.seconds})
    part = "cpu" if case.zones else "gpu"
    command = [python, "-m", f"energy_bench.tools.{tool.module}", asked, part, tool.argument]
    if mounted is not None:
        if shutil.which("unshare") is None:
            return "there is no `unshare` here: a make-believe /sys/class cannot be mounted"
        command = [
            "unshare",
            "-m" if os.geteuid() == 0 else "-rm",
            "sh",
            "-c",
            _MOUNT,
            str(mounted),
            *command,
        ]
    said, errors = folder / f"{tool.name}.out", folder / f"{tool.name}.err"
    with said.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(command, env=environ, stdout=out, stderr=err, start_new_session=True)
    return Running(process, said, errors)


def _result(case: Case, tool: Contender, running: Running | str, start_s: float) -> Result:
    if isinstance(running, str):
        return Result(case, tool.name, {}, start_s, running)
    left_s = start_s + case.seconds + _GRACE_S - time.monotonic()
    problem = None
    try:
        running.process.wait(max(1.0, left_s))
    except subprocess.TimeoutExpired:
        problem = f"hangs: nothing {_GRACE_S:g} s after the job's end"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)  # its children too
    running.process.wait()
    said = running.said.read_text().strip()
    if problem is None and not said.endswith("}"):
        problem = f"fails: {(running.errors.read_text().strip().splitlines() or ['it said nothing'])[-1]}"
    told = {} if problem else json.loads(said.splitlines()[-1])
    return Result(case, tool.name, told, start_s, problem)
