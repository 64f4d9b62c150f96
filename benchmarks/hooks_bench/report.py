"""Tells what was measured: a JSON line each for programs, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from hooks_bench.clients import FLOOR, OURS

WIDTH_IN_FILES: Final = 150
Line = dict[str, Any]

COST_COLUMNS: Final = (
    *("median_us", "p99_us", "max_us", "median_ratio", "p99_ratio"),
    *("cpu_s", "open_s", "exit_s", "added_mb", "peak_mb", "helpers_mb"),
)
THROUGHPUT_COLUMNS: Final = ("slower_percent", "added_percent", "threads_percent", "allowed_percent", "pairs")


def print_json(line: Line) -> None:
    """One line on standard output, at once."""
    print(json.dumps(line), flush=True)


def with_ratios(lines: Iterable[Line]) -> list[Line]:
    """Add to each line of one load how many times as much as Trimtab it costs, and as the floor."""
    lines = list(lines)
    by_client = {line["client"]: line for line in lines}
    return [
        line
        | ratios(line, by_client.get(OURS), "ratio")
        | ratios(line, by_client.get(FLOOR), "ratio_to_floor")
        for line in lines
    ]


def ratios(line: Mapping[str, Any], to: Mapping[str, Any] | None, name: str) -> Line:
    """The ratios of median and 99th percentile of one line to another's, where both were measured."""
    if to is None or "median_us" not in to or "median_us" not in line:
        return {}
    return {
        f"{figure}_{name}": round(line[f"{figure}_us"] / to[f"{figure}_us"], 2)
        for figure in ("median", "p99")
    }


def cost_table(lines: Sequence[Line]) -> Table:
    """All clients under one load."""
    first = lines[0]
    title = f"{first['metrics']} metrics a step, {first['pace']}"
    return table(title, "client", lines, ("steps", *COST_COLUMNS))


def kill_table(lines: Sequence[Line]) -> Table:
    """What survived, one row a client and pace."""
    return table("Killed straight after the last step", "client", lines, ("pace", "steps", "survived"))


def throughput_table(lines: Sequence[Line]) -> Table:
    """What watching costs a training loop; intervals of 95 %."""
    first = lines[0]
    title = f"{first['parameters']:,} parameters on {first['device']}, {first['step_ms']} ms a step"
    return table(title, "watched", lines, THROUGHPUT_COLUMNS)


def table(title: str, what: str, lines: Sequence[Line], columns: Sequence[str]) -> Table:
    """A table of some columns; a line that was not measured tells why instead."""
    made = Table(title=title)
    made.add_column(what)
    for column in columns:
        made.add_column(column.replace("_", " "), justify="right")
    for line in lines:
        why = line.get("absent") or line.get("failed")
        cells = [why.splitlines()[0]] if why else [cell(line, column) for column in columns]
        made.add_row(str(line[what]), *cells)
    return made


def cell(line: Line, column: str) -> str:
    """A figure, with its interval where it has one."""
    value = line.get(column)
    if value is None:
        return "-"
    if f"{column}_95" in line:
        low, high = line[f"{column}_95"]
        return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def print_tables(*made: Table) -> None:
    """Print tables on standard error, so that standard output holds JSON lines only."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH_IN_FILES)
    for each in made:
        console.print(each)
