"""Which interpreter has a client: this one, or that of the environment which holds heavy peers."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PEERS: Final = ROOT / ".venv-peers" / "bin" / "python"
_PROBE: Final = "import sys; from importlib.metadata import version; version(sys.argv[1])"


class AbsentError(Exception):
    """No interpreter has the client. The message says why, and what to do."""


@cache
def interpreter_for(distribution: str) -> str:
    """Find an interpreter that a distribution is installed for; an empty one is everywhere.

    Raises:
        AbsentError: there is none.
    """
    for python in (sys.executable, str(PEERS)):
        if not distribution or (Path(python).exists() and _has(python, distribution)):
            return python
    where = "nor in .venv-peers" if PEERS.exists() else "and there is no .venv-peers; run `make peers`"
    raise AbsentError(f"{distribution} is not installed here, {where}")


def _has(python: str, distribution: str) -> bool:
    found = subprocess.run([python, "-c", _PROBE, distribution], capture_output=True, check=False)
    return found.returncode == 0
