"""The command line as a whole: what it lists, and what it imports to do so little as to tell its version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from trimtab.version import __version__
from trimtab_monitor.cli.root import COMMANDS

Trimtab = Callable[..., subprocess.CompletedProcess[str]]

SERVING: Final = {"fastapi", "uvicorn", "trimtab_alerts.dispatcher", "matplotlib", "torch"}


TOLD: Final = "imported: "
COMMAND: Final = f"""
import atexit, sys
atexit.register(lambda: print({TOLD!r} + " ".join(sys.modules), file=sys.stderr))
sys.argv[0] = "trimtab"
from trimtab_monitor.cli import main
main()
"""


@pytest.fixture
def trimtab(tmp_path: Path) -> Trimtab:
    """`trimtab`, in an empty folder; at its end it tells on standard error what it has imported."""
    return lambda *arguments: subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    return set(done.stderr.rpartition(TOLD)[2].split())


def test_the_version_needs_no_command(trimtab: Trimtab) -> None:
    done = trimtab("--version")
    assert (done.returncode, done.stdout) == (0, f"trimtab {__version__}\n")
    assert "trimtab_monitor.cli.root" in imported(done)
    assert imported(done) & (SERVING | {"pydantic", *COMMANDS.values()}) == set()


def test_a_replay_needs_nothing_of_the_collector(trimtab: Trimtab, tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_text("step,loss\n1,2.5\n")
    done = trimtab("replay", "run.csv")
    assert (done.returncode, done.stdout) == (0, "run.csv: 1 rows, no incident\n")
    assert imported(done) & (SERVING | {*COMMANDS.values()}) == {COMMANDS["replay"]}


def test_help_lists_every_command_in_order(trimtab: Trimtab) -> None:
    told = trimtab("--help").stdout
    places = [told.find(f" {name} ") for name in COMMANDS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(trimtab: Trimtab, name: str) -> None:
    done = trimtab(name, "-h")
    assert done.returncode == 0
    assert f"trimtab {name}" in done.stdout
    assert import_module(COMMANDS[name]).__doc__


def test_a_mis_spelt_command_is_told_with_the_nearest(trimtab: Trimtab) -> None:
    done = trimtab("reprot")
    assert done.returncode == 2
    assert "Did you mean 'report'" in done.stderr
