"""What it costs to watch a training loop: Trimtab beside its peers, one JSON line each, tables for people.

    .venv/bin/python benchmarks/hooks.py [--only cost|kill|throughput|import|device …]
    .venv/bin/python benchmarks/hooks.py --only cost [--clients floor trimtab] [--metrics 3] [--share 0.2]
    .venv/bin/python benchmarks/hooks.py --only throughput [--ways default] [--seconds 180] [--threads 1]
    .venv/bin/python benchmarks/hooks.py --tables RUN.jsonl …       # Markdown, from the lines of earlier runs

Every client logs the same metrics once a step, in a process and a folder of its own: back to back, which is
the worst case for a client with a thread, and with a millisecond of Python work between two steps, which is
closer to a loop. Times are of the calls alone; `floor` is one append to a deque and one reading of the clock.
Peers are taken from `.venv`, else from `.venv-peers`, which `make peers` sets up; one that neither has is
told as absent. JSON goes to standard output, tables to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hooks_bench import cost, importing, kill
from hooks_bench.clients import CLIENTS
from hooks_bench.clients.client import WIDTHS
from hooks_bench.ranges import RunsError, markdown, read_lines
from hooks_bench.report import (
    Line,
    cost_table,
    kill_table,
    print_json,
    print_tables,
    table,
    throughput_table,
    with_ratios,
)
from hooks_bench.ways import MAIN, WAYS


def costs(asked: argparse.Namespace) -> None:
    """What a step costs, for each number of metrics and pace."""
    for load in cost.loads(asked.metrics, asked.share):
        lines = with_ratios(cost.measure(asked.clients, load))
        show(lines)
        print_tables(cost_table(lines))


def kills(asked: argparse.Namespace) -> None:
    """What survives."""
    steps = max(cost.LEAST_STEPS, round(asked.share * kill.STEPS))
    lines = [line for pace in kill.PACES for line in kill.measure(asked.clients, pace, steps)]
    show(lines)
    print_tables(kill_table(lines))


def throughput(asked: argparse.Namespace) -> None:
    """How much slower a small GPT trains."""
    import torch

    from hooks_bench import throughput as training

    if asked.threads is not None:
        torch.set_num_threads(asked.threads)
    lines = list(training.measure(asked.ways, asked.seconds))
    show(lines)
    print_tables(throughput_table(lines))


def imports(_: argparse.Namespace) -> None:
    """What importing takes."""
    lines = importing.measure()
    show(lines)
    print_tables(table("Import", "statement", lines, ("import_ms", "import_cpu_ms", "added_mb", "modules")))


def device(_: argparse.Namespace) -> None:
    """What tensors on a device cost."""
    from hooks_bench import device as on_device

    show([on_device.measure()])


PARTS: Final[Mapping[str, Callable[[argparse.Namespace], None]]] = {
    "cost": costs,
    "kill": kills,
    "throughput": throughput,
    "import": imports,
    "device": device,
}


def show(lines: list[Line]) -> None:
    for line in lines:
        print_json(line)


def at_least(least: float) -> Callable[[str], float]:
    """A number that is not less."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not number >= least:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of at least {least:g}")
        return number

    return read


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=tuple(PARTS), help="only these parts")
    parser.add_argument(
        "--clients", nargs="+", choices=CLIENTS, default=tuple(CLIENTS), metavar="NAME", help="only these"
    )
    parser.add_argument(
        "--metrics", nargs="+", type=int, choices=WIDTHS, default=WIDTHS, help="metrics a step, for cost"
    )
    parser.add_argument(
        "--share", type=at_least(0), default=1.0, help="of the steps that cost and kill take; 1 unless given"
    )
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=MAIN, metavar="NAME", help="of watching the GPT"
    )
    parser.add_argument("--seconds", type=at_least(1), default=150, help="that the GPT is trained for in all")
    parser.add_argument("--threads", type=int, help="of torch; as many as it takes by itself unless given")
    parser.add_argument(
        "--tables", nargs="+", type=Path, metavar="FILE", help="print tables of earlier runs, measure nothing"
    )
    return parser.parse_args()


def main() -> None:
    """Measure what was asked for."""
    asked = parse()
    if asked.tables:
        try:
            print(markdown(read_lines(asked.tables)))
        except RunsError as error:
            print(f"hooks.py: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        return
    with TemporaryDirectory(prefix="hooks-bench-") as folder:
        os.environ["TRIMTAB_DIR"] = folder
        for part in PARTS:
            if part in asked.only:
                PARTS[part](asked)


if __name__ == "__main__":
    main()
