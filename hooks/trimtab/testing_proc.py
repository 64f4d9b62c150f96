"""A made-up `/proc` in a folder, for testing what reads processes and the time that CPUs worked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAMESPACE: Final = 4026531836


@dataclass(frozen=True, slots=True)
class ProcDouble:
    """Writes the files of proc(5) that the sensors read; times are clock ticks, 100 a second."""

    root: Path

    def __post_init__(self) -> None:
        space = self.root / "self" / "ns"
        space.mkdir(parents=True)
        (space / "pid").symlink_to(f"pid:[{NAMESPACE}]")

    def process(
        self, pid: int, parent: int = 1, start: int = 1000, worked: int = 0, *, of_children: int = 0
    ) -> None:
        """Begin a process, or say how it stands now: what it worked, and the children that it waited for."""
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        before = f"{pid} (a) b) S {parent} {pid} {pid} 0 -1 4194304 97 0 0 0"
        times = f"{worked} 0 {of_children} 0 20 0 1 0 {start}"
        (folder / "stat").write_text(f"{before} {times} 3133440 366\n")

    def cgroup(self, pid: int, path: str) -> None:
        """Put a process into a cgroup of the unified hierarchy."""
        (self.root / str(pid) / "cgroup").write_text(f"0::{path}\n")

    def end(self, pid: int) -> None:
        """Let a process be gone."""
        folder = self.root / str(pid)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()

    def cpus(self, busy: int, idle: int) -> None:
        """Say how long the CPUs have worked and idled, all together."""
        (self.root / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {busy} 0 0 {idle}\n")
