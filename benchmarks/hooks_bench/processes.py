"""Starts a client's process in a folder of its own, and brings back what it answered and took."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hooks_bench.client_process import ANSWER, Task
from hooks_bench.clients import CLIENTS
from hooks_bench.interpreters import interpreter_for

BENCHMARKS: Final = Path(__file__).resolve().parents[1]
PATIENCE_S: Final = 10.0
"""How long helper processes may outlive the script: wandb's takes up to five seconds."""
LIMIT_S: Final = 180.0
KILLED: Final = -9


class FailedError(Exception):
    """A client's process failed. The message ends with what it wrote last."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a process: its answer, and what the supervisor tells of it."""

    answer: dict[str, Any]
    usage: dict[str, Any]


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder for the processes of one client, gone afterwards."""
    with TemporaryDirectory(prefix="hooks-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def import_path() -> dict[str, str]:
    """What makes another interpreter find these modules too."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(BENCHMARKS), os.environ.get("PYTHONPATH"))))}


def run(task: Task, folder: Path) -> Done:
    """Run a task in a folder; one that is to be killed has no answer.

    Raises:
        AbsentError: no interpreter has the client.
        FailedError: the process failed, or took too long.
    """
    python = interpreter_for(CLIENTS[task.client].distribution)
    task_file, usage_file = folder / "task.json", folder / "usage.json"
    answer_file = folder / ANSWER
    answer_file.unlink(missing_ok=True)
    task.write(task_file)
    supervised = [python, "-m", "hooks_bench.client_process", str(task_file)]
    command = [python, "-m", "hooks_bench.supervisor", str(usage_file), str(PATIENCE_S), *supervised]
    environ = os.environ | import_path() | {"TRIMTAB_DIR": str(folder / "trimtab")}
    environ |= CLIENTS[task.client].environ
    try:
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"{task.client}: {task.what}: not over after {LIMIT_S:.0f} s") from None
    usage = json.loads(usage_file.read_text()) if usage_file.exists() else {"status": done.returncode}
    if usage["status"] != (KILLED if task.what == "kill" else 0):
        said = "\n".join(done.stderr.splitlines()[-12:])
        raise FailedError(f"{task.client}: {task.what}: exit status {usage['status']}\n{said}")
    return Done(json.loads(answer_file.read_text()) if answer_file.exists() else {}, usage)
