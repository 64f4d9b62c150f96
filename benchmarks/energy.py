"""Energy meters beside each other on make-believe hardware whose true energy is known.

    .venv/bin/python benchmarks/energy.py [--trace NAME …] [--board KIND …] [--only race|poll|cost …]
    .venv/bin/python benchmarks/energy.py --tables RUN.jsonl …      # Markdown, from the lines of earlier runs

A driver of NVIDIA's, built from C, and a powercap tree play traces of power on the real clock; Trimtab,
CodeCarbon and Zeus read them at the same time, each in a process of its own, and are asked what the job used.
The error is against the exact integral; where a tool's start or stop takes a while, at the edge that is best
for it. Peers are taken from `.venv`, else from `.venv-peers` (`make peers`); one that is absent, fails or
hangs is told as such. JSON, one line a tool and case, goes to standard output, tables to standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TextIO

from energy_bench import cost
from energy_bench.cases import CASES, CPU, INSTANT, KINDS, Case
from energy_bench.driver import NoCompilerError, build_driver
from energy_bench.racing import ZEUS_POWER_BARE, contenders, race
from energy_bench.report import cpu_table, table
from energy_bench.tool_process import Contender
from hooks_bench.ranges import Line, RunsError, read_lines
from hooks_bench.report import print_json

TRACES: Final = tuple(dict.fromkeys(case.trace for case in CASES))


def races(asked: argparse.Namespace, library: Path, folder: Path) -> Iterator[Line]:
    """All tools on each case, a few cases at a time."""
    cases = [case for case in CASES if case.trace in asked.trace and case.kind in asked.board]
    with ThreadPoolExecutor(asked.beside) as pool:
        for lines in pool.map(partial(_race, library, folder), cases):
            yield from lines


def polls(asked: argparse.Namespace, library: Path, folder: Path) -> Iterator[Line]:
    """Zeus's power monitor as it is shipped, alone: it takes all that the machine has."""
    del asked
    case = next(case for case in CASES if case.name == f"constant / {INSTANT}")
    yield from _race(library, folder, case, [ZEUS_POWER_BARE])


def costs(asked: argparse.Namespace, library: Path, folder: Path) -> Iterator[Line]:
    """What our sampler costs."""
    yield from cost.measure(asked.seconds, library, folder)


def _race(library: Path, folder: Path, case: Case, tools: list[Contender] | None = None) -> list[Line]:
    with TemporaryDirectory(dir=folder) as own:
        return [result.line() for result in race(case, tools or contenders(case), library, Path(own))]


PARTS: Final[Mapping[str, Callable[[argparse.Namespace, Path, Path], Iterator[Line]]]] = {
    "race": races,
    "poll": polls,
    "cost": costs,
}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=tuple(PARTS), help="only these parts")
    parser.add_argument(
        "--trace", nargs="+", choices=TRACES, default=TRACES, metavar="NAME", help="only these"
    )
    kinds = (*KINDS, CPU)
    parser.add_argument("--board", nargs="+", choices=kinds, default=kinds, help="only these kinds of board")
    parser.add_argument("--beside", type=int, default=4, help="cases at a time; 4 unless given")
    parser.add_argument("--seconds", type=float, default=60.0, help="that the sampler's cost is measured for")
    parser.add_argument("--tables", nargs="+", type=Path, metavar="FILE", help="print tables of earlier runs")
    return parser.parse_args()


def main() -> None:
    """Measure what was asked for."""
    asked = parse()
    if asked.tables:
        show_tables(_earlier(asked.tables), sys.stdout)
        return
    lines = []
    with TemporaryDirectory(prefix="energy-bench-") as folder:
        try:
            library = build_driver(Path(folder))
        except NoCompilerError as error:
            print(f"energy.py: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        for part in asked.only:
            for told in PARTS[part](asked, library, Path(folder)):
                line = {"benchmark": f"energy {part}", **told}
                print_json(line)
                lines.append(line)
    show_tables(lines, sys.stderr)


def _earlier(paths: list[Path]) -> list[Line]:
    try:
        return read_lines(paths)
    except RunsError as error:
        print(f"energy.py: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def show_tables(lines: Sequence[Line], to: TextIO) -> None:
    raced = [line for line in lines if line["benchmark"] == "energy race"]
    if raced:
        print(table(raced), cpu_table(raced), sep="\n\n", file=to)


if __name__ == "__main__":
    main()
