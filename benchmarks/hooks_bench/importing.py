"""What `import trimtab` takes: time, modules, memory; in fresh interpreters."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any, Final, NamedTuple

from hooks_bench.processes import BENCHMARKS
from hooks_bench.supervisor import seconds_of

REPEATS: Final = 15
NOTHING: Final = "pass"
STATEMENTS: Final = (NOTHING, "import trimtab", "from trimtab import watch")
HEAVY: Final = ("torch", "numpy", "transformers", "lightning", "accelerate", "keras")
_PROBE: Final = """
import sys; from hooks_bench.memory import resident_mb; before, had = resident_mb(), set(sys.modules)
{statement}
added = resident_mb() - before; import json
print(json.dumps([added, len(set(sys.modules) - had), [name for name in {heavy} if name in sys.modules]]))
"""


class Took(NamedTuple):
    """Seconds of a process, by the clock and of the processor."""

    wall: float
    processor: float


def measure() -> list[dict[str, Any]]:
    """Measure each statement; what nothing takes is what the interpreter does."""
    took: dict[str, list[Took]] = {statement: [] for statement in STATEMENTS}
    for _ in range(REPEATS):
        for statement in STATEMENTS:
            took[statement].append(_took(statement))
    typical = {statement: Took(*map(median, zip(*runs, strict=True))) for statement, runs in took.items()}
    return [_line(statement, typical[statement], typical[NOTHING]) for statement in STATEMENTS]


def _line(statement: str, took: Took, nothing: Took) -> dict[str, Any]:
    added_mb, modules, heavy = _loaded(statement)
    return {
        "benchmark": "hooks import",
        "statement": statement,
        "process_ms": round(1e3 * took.wall, 1),
        "import_ms": round(1e3 * (took.wall - nothing.wall), 1),
        "import_cpu_ms": round(1e3 * (took.processor - nothing.processor), 1),
        "added_mb": round(added_mb, 1),
        "modules": modules,
        "heavy": heavy,
    }


def _took(statement: str) -> Took:
    began, before = time.perf_counter(), _children_seconds()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return Took(time.perf_counter() - began, _children_seconds() - before)


def _children_seconds() -> float:
    return seconds_of(resource.getrusage(resource.RUSAGE_CHILDREN))


def _loaded(statement: str) -> tuple[float, int, list[str]]:
    probe = _PROBE.format(statement=statement, heavy=HEAVY)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); {probe.lstrip()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    added_mb, modules, heavy = json.loads(done.stdout)
    return added_mb, modules, heavy
