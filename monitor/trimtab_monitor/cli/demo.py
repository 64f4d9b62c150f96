"""`trimtab demo`: the main job, end to end, on a real training run on this machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from trimtab_monitor.cli.failure import failing_as
from trimtab_monitor.cli.outputs import check_writable

MIN_STEPS = 100


def command(
    steps: Annotated[
        int, typer.Option(min=MIN_STEPS, help="Good steps of each run; the faults move with it.")
    ] = 300,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="OUT.json", help="Write the result for machines.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Draw the three runs and what was noticed.")
    ] = None,
    place: Annotated[
        str,
        typer.Option(
            help="Grid to price the energy at, if the settings name none: FR, US-GA, aws:eu-west-1."
        ),
    ] = "US",
) -> None:
    """Train a small GPT three times: clean, with two faults, and with the same faults under watch."""
    with failing_as("demo"):
        check_writable("--json", json_path)
        check_writable("--plot", plot)
        try:
            from trimtab_monitor.demo.show import run_demo
        except ModuleNotFoundError as error:
            raise RuntimeError(f"the demo trains with {error.name}: pip install 'trimtab[all]'") from None
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        run_demo(steps=steps, place=place, plot=plot, json_path=json_path)
