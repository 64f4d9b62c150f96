"""Puts several runs together: tables in Markdown, each figure from the lowest to the highest run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

Line = Mapping[str, Any]


class RunsError(Exception):
    """A file of lines cannot be used. The message says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, the figure in it, and what the lines that hold it have besides."""

    heading: str
    figure: str
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """A table: of which benchmark, one row for each value of what, and its columns."""

    title: str
    benchmark: str
    row: str
    columns: tuple[Column, ...]


def _cost(metrics: int, pace: str) -> Layout:
    where = {"metrics": metrics, "pace": pace}
    columns = (
        Column("median µs", "median_us", where),
        Column("99 % µs", "p99_us", where),
        Column("median, against Trimtab", "median_ratio", where),
        Column("99 %, against Trimtab", "p99_ratio", where),
        Column("steps", "steps", where),
    )
    return Layout(f"{metrics} metrics a step, {pace}", "hooks cost", "client", columns)


_NARROW: Final = {"metrics": 3, "pace": "back to back"}
_PROCESS: Final = {
    "processor s": "cpu_s",
    "open s": "open_s",
    "exit s": "exit_s",
    "memory added, MB": "added_mb",
    "peak, MB": "peak_mb",
    "helpers, MB": "helpers_mb",
}
LAYOUTS: Final = (
    *(_cost(metrics, pace) for pace in ("back to back", "busy") for metrics in (3, 100, 1000)),
    Layout(
        "The process, 3 metrics a step back to back",
        "hooks cost",
        "client",
        tuple(Column(heading, figure, _NARROW) for heading, figure in _PROCESS.items()),
    ),
    Layout(
        "Killed straight after the last step: steps that can be read back",
        "hooks kill",
        "client",
        (
            Column("interpreter idle", "survived", {"pace": "asleep"}),
            Column("interpreter busy", "survived", {"pace": "busy"}),
            Column("of", "steps"),
        ),
    ),
    Layout(
        "A small GPT",
        "hooks throughput",
        "watched",
        (
            Column("slower, %", "slower_percent"),
            Column("95 % interval", "slower_percent_95"),
            Column("added to optimizer and `watch.step`, %", "added_percent"),
            Column("95 % interval", "added_percent_95"),
            Column("own threads, % of a core", "threads_percent"),
            Column("step, ms", "step_ms"),
            Column("pairs", "pairs"),
        ),
    ),
    Layout(
        "Import",
        "hooks import",
        "statement",
        (
            Column("ms", "import_ms"),
            Column("processor ms", "import_cpu_ms"),
            Column("MB", "added_mb"),
            Column("modules", "modules"),
        ),
    ),
    Layout(
        "Tensors on a device",
        "hooks device",
        "metrics",
        (
            Column("median µs", "median_us"),
            Column("99 % µs", "p99_us"),
            Column("synchronised", "synchronised"),
            Column("steps", "steps"),
        ),
    ),
)


def read_lines(paths: Iterable[Path]) -> list[Line]:
    """Read the JSON lines of several runs.

    Raises:
        RunsError: a file cannot be read, or a line is not one of ours.
    """
    lines: list[Line] = []
    for path in paths:
        try:
            texts = path.read_text().splitlines()
        except OSError as error:
            raise RunsError(f"{path}: {error.strerror}; give files of JSON lines of earlier runs") from None
        for number, text in enumerate(texts, start=1):
            lines.append(_line(path, number, text))
    return lines


def _line(path: Path, number: int, text: str) -> Line:
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict) or "benchmark" not in line:
        raise RunsError(f"{path}:{number}: is no line of this benchmark; remove it")
    return line


def markdown(lines: Sequence[Line]) -> str:
    """All tables that some of the lines belong to."""
    made = [_table(layout, lines) for layout in LAYOUTS]
    return "\n".join(table for table in made if table)


def _table(layout: Layout, lines: Sequence[Line]) -> str:
    ours = [line for line in lines if line["benchmark"] == layout.benchmark]
    rows = [
        (name, [span(_values(ours, layout.row, name, column)) for column in layout.columns])
        for name in dict.fromkeys(line[layout.row] for line in ours)
    ]
    filled = [(name, cells) for name, cells in rows if any(cells)]
    if not filled:
        return ""
    headings = [layout.row, *(column.heading for column in layout.columns)]
    table = [headings, ["---"] * len(headings), *([str(name), *cells] for name, cells in filled)]
    return f"### {layout.title}\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in table)


def _values(lines: Sequence[Line], row: str, name: object, column: Column) -> list[float]:
    found: list[float] = []
    for line in lines:
        here = line[row] == name and all(line.get(key) == value for key, value in column.where.items())
        value = line.get(column.figure) if here else None
        found += value if isinstance(value, list) else [] if value is None else [value]
    return found


def span(values: Sequence[float]) -> str:
    """From the lowest to the highest, with two or three digits; one where they look alike."""
    low, high = (_short(each(values)) if values else "" for each in (min, max))
    return low if low == high else f"{low} to {high}"


def _short(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.3g}"
