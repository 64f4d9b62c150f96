"""Importing the package is cheap, and what it offers is what it says."""

from __future__ import annotations

import json
import subprocess
import sys

import trimtab


def loaded_by(program: str) -> set[str]:
    program += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return set(json.loads(out))


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "psutil", "urllib3", "msgspec", "logging", "asyncio", "trimtab_monitor"}
    assert not heavy & loaded_by("import trimtab")


def test_watching_loads_neither_torch_nor_the_collector() -> None:
    assert not {"torch", "numpy", "trimtab_monitor"} & loaded_by("import trimtab\ntrimtab.watch")


def test_all_that_is_offered_is_there() -> None:
    assert trimtab.__all__ == ["Budget", "Signals", "StepResult", "Watch", "__version__", "watch"]
    assert all(getattr(trimtab, name) is not None for name in trimtab.__all__)
    assert not hasattr(trimtab, "unheard_of")
