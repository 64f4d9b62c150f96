"""A tool's process: started beside the make-believe hardware, waited for, and read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hooks_bench.interpreters import AbsentError, interpreter_for

BENCHMARKS: Final = Path(__file__).resolve().parents[1]
_GRACE_S: Final = 25.0
"""How long after the job a tool may take to tell, before it is given up as hanging."""
_MOUNT: Final = 'mount --bind "$0" /sys/class && exec "$@"'


class ToolError(Exception):
    """A tool told nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A tool, as it is set up: module, its distribution ("" for our own) and arguments after the part."""

    name: str
    module: str
    distribution: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where tools run: a folder for what they say, the driver's variables, a /sys/class of its own if any."""

    folder: Path
    driver: Mapping[str, str]
    sys_class: Path | None

    def environ(self) -> dict[str, str]:
        """Add an `nvidia-smi` that runs: without one CodeCarbon sees no GPU."""
        tool = self.folder / "nvidia-smi"
        tool.write_text("#!/bin/sh\nexit 0\n")
        tool.chmod(0o755)
        path = f"{self.folder}:{os.environ['PATH']}"
        return {**self.driver, "PATH": path, "PYTHONPATH": str(BENCHMARKS)}

    def command(self, command: list[str]) -> list[str]:
        """Return a command that sees the stage's /sys/class, in a namespace of its own."""
        if self.sys_class is None:
            return command
        if shutil.which("unshare") is None:
            raise ToolError("there is no `unshare` here: a make-believe /sys/class cannot be mounted")
        new_mounts = "-m" if os.geteuid() == 0 else "-rm"
        return ["unshare", new_mounts, "sh", "-c", _MOUNT, str(self.sys_class), *command]


@dataclass(frozen=True, slots=True)
class ToolProcess:
    """A tool at work; what it says goes to files, for its children may hold a pipe open for ever."""

    process: subprocess.Popen[bytes]
    said: Path
    errors: Path
    until: float

    def told(self) -> dict[str, Any]:
        """Wait for what it tells.

        Raises:
            ToolError: it failed, or hangs.
        """
        try:
            self.process.wait(max(1.0, self.until + _GRACE_S - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise ToolError(f"hangs: nothing {_GRACE_S:g} s after the job's end") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # its children too
            self.process.wait()
        said = self.said.read_text().strip()
        if not said.endswith("}"):
            lines = self.errors.read_text().strip().splitlines() or ["it said nothing"]
            raise ToolError(f"fails: {lines[-1]}")
        told: dict[str, Any] = json.loads(said.splitlines()[-1])
        return told


def start(tool: Contender, stage: Stage, part: str, begin: float, end: float) -> ToolProcess:
    """Start a tool that measures the part gpu or cpu between two times of the monotonic clock.

    Raises:
        ToolError: it is not installed, or cannot be shown the hardware.
    """
    try:
        python = interpreter_for(tool.distribution) if tool.distribution else sys.executable
    except AbsentError as error:
        raise ToolError(str(error)) from error
    asked = json.dumps({"begin": begin, "end": end})
    module = f"energy_bench.tools.{tool.module}"
    command = stage.command([python, "-m", module, asked, part, tool.argument])
    said, errors = stage.folder / f"{tool.name}.out", stage.folder / f"{tool.name}.err"
    with said.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            command, env=stage.environ(), stdout=out, stderr=err, start_new_session=True
        )
    return ToolProcess(process, said, errors, end)
