"""What `import trimtab` takes: time, modules, memory; in fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median
from typing import Any, Final

from hooks_bench.processes import BENCHMARKS

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


def measure() -> list[dict[str, Any]]:
    """Measure each statement; what nothing takes is what the interpreter does."""
    took: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(REPEATS):
        for statement in STATEMENTS:
            took[statement].append(_seconds(statement))
    nothing = median(took[NOTHING])
    return [_line(statement, median(took[statement]), nothing) for statement in STATEMENTS]


def _line(statement: str, seconds: float, nothing: float) -> dict[str, Any]:
    added_mb, modules, heavy = _loaded(statement)
    return {
        "benchmark": "hooks import",
        "statement": statement,
        "process_ms": round(1e3 * seconds, 1),
        "import_ms": round(1e3 * (seconds - nothing), 1),
        "added_mb": round(added_mb, 1),
        "modules": modules,
        "heavy": heavy,
    }


def _seconds(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


def _loaded(statement: str) -> tuple[float, int, list[str]]:
    probe = _PROBE.format(statement=statement, heavy=HEAVY)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); {probe.lstrip()}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    added_mb, modules, heavy = json.loads(done.stdout)
    return added_mb, modules, heavy
