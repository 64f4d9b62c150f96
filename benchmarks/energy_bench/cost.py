"""What Trimtab's sampler costs: its processor time on eight boards, and whether slow calls delay anything."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from energy_bench.board import Board, slow
from energy_bench.driver import Script, environment
from energy_bench.tool_process import BENCHMARKS
from energy_bench.trace import wave

BOARDS: Final = 8
CALL_US: Final = 20.0
"""What a call takes of a core; calls of a real driver take some tens of microseconds."""
SLOW_S: Final = 0.1


def measure(seconds: float, library: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Sample eight boards in a process of its own, with calls as they are, and with one board's slow."""
    for name, slow_s in (("calls of 20 us", 0.0), ("one board's calls take 100 ms", SLOW_S)):
        power = wave(seconds + 60, 1.0, 0.8, 650.0, 250.0)
        events = (slow(-1e9, 1e9, slow_s),) if slow_s else ()
        boards = [Board(f"GPU-{i}", power, events if i == 0 else ()) for i in range(BOARDS)]
        script = Script(boards, time.monotonic(), call_us=CALL_US)
        path = script.write(folder / f"cost-{slow_s:g}")
        environ = {**environment(library, path), "PYTHONPATH": str(BENCHMARKS)}
        command = [sys.executable, "-m", "energy_bench.tools.trimtab_cost", str(seconds)]
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
        yield {"part": "cost", "what": f"{BOARDS} boards, {name}", **json.loads(done.stdout)}
