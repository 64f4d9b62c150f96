"""Counts files and rows on standard error while runs are replayed, only where a person looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn


@dataclass(slots=True)
class ReplayProgress:
    """How many of the files are done, and how many rows they had. Gone while a file's result is told."""

    files: int
    console: Console = field(default_factory=lambda: Console(stderr=True))
    done: int = 0
    rows: int = 0

    @contextmanager
    def replaying(self, name: str) -> Iterator[Callable[[int], None]]:
        """Show progress while the file of this name is replayed; what is given is to be told of rows."""
        with Progress(
            *self._columns(),
            console=self.console,
            transient=True,
            redirect_stdout=False,
            disable=not self.console.is_terminal,
        ) as bar:
            task = bar.add_task(name, total=self.files, completed=self.done, rows=self.rows)

            def tick(rows: int) -> None:
                self.rows += rows
                bar.update(task, rows=self.rows)

            try:
                yield tick
            finally:
                self.done += 1

    def _columns(self) -> list[ProgressColumn]:
        many = [BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("files,")] if self.files > 1 else []
        return [
            SpinnerColumn(),
            *many,
            TextColumn("{task.fields[rows]:,} rows"),
            TextColumn("{task.description}", markup=False, style="dim"),
        ]
