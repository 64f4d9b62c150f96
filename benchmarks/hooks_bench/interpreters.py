"""Which interpreter has a client: this one, or that of the environment which holds heavy peers."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PEERS: Final = ROOT / ".venv-peers" / "bin" / "python"
_PROBE: Final = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"


class AbsentError(Exception):
    """No interpreter has the client. The message says why, and what to do."""


@cache
def interpreter_for(module: str) -> str:
    """Find an interpreter that has a module.

    Raises:
        AbsentError: there is none.
    """
    for python in (sys.executable, str(PEERS)):
        if Path(python).exists() and _has(python, module):
            return python
    where = "nor in .venv-peers" if PEERS.exists() else "and there is no .venv-peers; run `make peers`"
    raise AbsentError(f"{module} is not installed here, {where}")


def _has(python: str, module: str) -> bool:
    found = subprocess.run([python, "-c", _PROBE, module], capture_output=True, check=False)
    return found.returncode == 0
