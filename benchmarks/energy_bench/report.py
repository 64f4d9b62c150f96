"""Tables for people, from the lines of races."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Line = Mapping[str, Any]
_COLUMNS: Final = ("trimtab", "codecarbon 15 s", "codecarbon 1 s", "zeus")

_SLACK: Final = 0.001
"""Of an interval: the edges of a job on the real clock are known to within milliseconds."""


def table(lines: Sequence[Line]) -> str:
    """Return Markdown: a row a case, the error of each tool in per cent, and what Trimtab tells beside it."""
    rows: dict[tuple[str, str], dict[str, Line]] = {}
    for line in lines:
        tool = "zeus" if line["tool"].startswith("zeus") else line["tool"]
        rows.setdefault((line["trace"], line["board"]), {})[tool] = line
    head = ["Trace", "Board", *_COLUMNS, "Trimtab's interval", "gap s"]
    body = [
        [trace, board, *(_error(told.get(tool)) for tool in _COLUMNS), *_stated(told.get("trimtab"))]
        for (trace, board), told in rows.items()
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


def cpu_table(lines: Sequence[Line]) -> str:
    """Return Markdown: the median and the largest part of a core that each tool took."""
    rows = [["Tool", "CPU, % of a core (median)", "largest"], ["---"] * 3]
    for tool in sorted({line["tool"] for line in lines}):
        shares = sorted(line["cpu_pct"] for line in lines if line["tool"] == tool and "cpu_pct" in line)
        if shares:
            rows.append([tool, f"{shares[len(shares) // 2]:.2f}", f"{shares[-1]:.2f}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _error(line: Line | None) -> str:
    if line is None:
        return "-"
    return line["problem"] if "problem" in line else f"{line['error_pct']:+.2f}"


def _stated(line: Line | None) -> list[str]:
    if line is None or "problem" in line:
        return ["-", "-"]
    true_j = line["true_j"]
    low, high = (100 * (line[name] / true_j - 1) for name in ("low_j", "high_j"))
    slack = _SLACK * true_j
    holds = line["low_j"] - slack <= true_j <= line["high_j"] + slack
    return [f"{low:+.1f} .. {high:+.1f}{'' if holds else ' **not held**'}", f"{line['gap_seconds']:.1f}"]
