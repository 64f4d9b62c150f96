"""Tables of the constructed cases."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from detection_bench.cases.judging import CaseResult
from detection_bench.report import cell
from detection_bench.scoring import delay_figures


def own_table(results: Sequence[CaseResult]) -> Table:
    """One detector on each case."""
    table = Table(title=f"{results[0].detector} on constructed cases, {results[0].seeds} seeds each")
    for name in ("case", "expected", "met", "found", "delay", "max", "false/1,000", "what happens"):
        table.add_column(
            name, justify="left" if name in ("case", "what happens") else "right", no_wrap=name == "case"
        )
    for result in results:
        case = result.case
        expected = "quiet" if case.max_delay is None else f"within {case.max_delay}"
        short = result.met < case.held_share * result.seeds
        table.add_row(
            case.name,
            expected if case.held_share else f"({expected})",
            f"{result.met}/{result.seeds}",
            str(len(result.delays)) if case.max_delay is not None else "",
            cell(delay_figures(result.delays)[0]) if result.delays else "",
            str(max(result.delays)) if result.delays else "",
            cell(result.false_alarms_per_1000),
            case.sentence,
            style="red" if short else None,
        )
    return table


def beside_peers(results: Sequence[Sequence[CaseResult]]) -> Table:
    """All detectors: seeds found and median delay, or false alarms per 1,000 where all should be quiet."""
    table = Table(
        title="Seeds found and median delay (d); where all should be quiet, false alarms per 1,000 (f)"
    )
    table.add_column("case", no_wrap=True)
    for of_detector in results:
        table.add_column(of_detector[0].detector, justify="right")
    for of_case in zip(*results, strict=True):
        table.add_row(of_case[0].case.name, *(_short(result) for result in of_case))
    return table


def _short(result: CaseResult) -> str:
    if result.case.max_delay is None:
        return f"f{result.false_alarms_per_1000:.2g}" if result.false_alarms else "0"
    if not result.delays:
        return "0"
    return f"{len(result.delays)} d{delay_figures(result.delays)[0]:.0f}"
