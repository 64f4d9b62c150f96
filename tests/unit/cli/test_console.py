"""A pipe has no edge, a terminal has."""

from __future__ import annotations

import pytest
from rich.table import Table

from trimtab_monitor.console import make_console


def test_a_wide_table_is_one_line_a_row_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table(box=None, show_header=False)
    table.add_row("one " * 40, "two " * 40)
    make_console().print(table)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split() == ["one"] * 40 + ["two"] * 40


def test_columns_that_are_asked_for_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert make_console().width == 60


def test_a_terminal_keeps_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any stream for a terminal
    assert make_console().width == 80
