"""Progress is counted over all files, and shown only to people."""

from __future__ import annotations

import io

from rich.console import Console

from trimtab_monitor.cli.replay_progress import ReplayProgress


def shown(files: int, *, terminal: bool) -> tuple[str, ReplayProgress]:
    """What is written while these files are replayed, 2000 rows each."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, legacy_windows=False)
    progress = ReplayProgress(files, console)
    for number in range(files):
        with progress.replaying(f"run[{number}].csv") as tick:
            tick(2000)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), progress


def test_files_and_rows_are_counted_over_all() -> None:
    written, progress = shown(3, terminal=True)
    assert (progress.done, progress.rows) == (3, 6000)
    for part in ("0/3", "2/3", "6,000 rows", "run[1].csv"):
        assert part in written


def test_one_file_needs_no_bar() -> None:
    assert "0/1" not in shown(1, terminal=True)[0]


def test_nothing_is_written_where_nobody_looks() -> None:
    assert shown(3, terminal=False)[0] == ""
