"""Make the curves of our own: the demo GPT under injected instabilities, labelled by what was injected.

    .venv/bin/python benchmarks/make_curves.py [--steps 500] [--out benchmarks/curves]

Sixteen runs of a small GPT, a few minutes on one core. Each injected run has a twin of the same seed and data
without the injection; whether an event is major, and where it ends, is read off the difference between both,
never off what a detector says.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

import torch

from curve_making.injections import RECIPES, Base, Recipe
from curve_making.labels import Label, label
from curve_making.training import Measured, train
from trimtab_monitor.demo.text import standard_library

SOURCE = "trimtab/demo-gpt"
FEWEST_STEPS = 10 + max(each.start for recipe in RECIPES for each in recipe.injections)
LABEL_COLUMNS = ("file", "kind", "start_step", "peak_step", "end_step", "severity", "comment")


def main() -> None:
    """Train every recipe, and write curves, index and labels."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=enough, default=500, help="steps a run")
    parser.add_argument(
        "--out", type=writable, default=Path(__file__).parent / "curves", help="folder to write to"
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    made = {recipe: timed(recipe, asked.steps) for recipe in RECIPES}
    twins = {recipe.base: rows for recipe, rows in made.items() if not recipe.injections}
    for recipe, rows in made.items():
        write_curve(asked.out / file_name(recipe), rows)
    index = [index_row(*each) for each in made.items()]
    write_rows(asked.out / "INDEX.csv", list(index[0]), [list(row.values()) for row in index])
    write_rows(asked.out / "LABELS.csv", LABEL_COLUMNS, label_rows(made, twins))


def enough(text: str) -> int:
    """Steps a run: what is injected must have room."""
    if not text.isdecimal() or int(text) < FEWEST_STEPS:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {FEWEST_STEPS}")
    return int(text)


def writable(text: str) -> Path:
    """A folder that curves can be written to, made if need be: known before anything is trained."""
    folder = Path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written ({reason}); give another") from None


def timed(recipe: Recipe, steps: int) -> list[Measured]:
    """Train one recipe and say how long it took."""
    begin = time.monotonic()
    rows = train(recipe, steps, standard_library())
    taken = time.monotonic() - begin
    print(f"{recipe.name}: {len(rows)} steps, {taken:.0f} s, loss {rows[-1].loss:.3f}", file=sys.stderr)
    return rows


def file_name(recipe: Recipe) -> str:
    return f"{recipe.name}.csv"


def index_row(recipe: Recipe, rows: Sequence[Measured]) -> dict[str, str]:
    """What INDEX.csv says of a curve."""
    return {
        "file": file_name(recipe),
        "source_repo": SOURCE,
        "source_path": "benchmarks/make_curves.py",
        "license": "Apache-2.0",
        "n_steps": str(len(rows)),
        "has_grad_norm": "yes",
        "has_lr": "yes",
        "logging_interval": "1",
        "kind": "llm",
        "notes": f"{recipe.note}; group={recipe.name}; base={recipe.base.name}",
    }


def label_rows(made: dict[Recipe, list[Measured]], twins: dict[Base, list[Measured]]) -> list[list[str]]:
    """One row an event; one `clean` row for a curve without any."""
    rows = []
    for recipe, measured in made.items():
        found = [label(each, measured, twins[recipe.base], recipe.note) for each in recipe.injections]
        events = [event for event in found if event is not None]
        rows += [event_row(recipe, event) for event in events]
        if not events:
            rows.append([file_name(recipe), "clean", "", "", "", "", recipe.note])
    return rows


def event_row(recipe: Recipe, event: Label) -> list[str]:
    end = "" if event.end is None else str(event.end)
    return [
        file_name(recipe),
        event.kind,
        str(event.start),
        str(event.peak),
        end,
        event.severity,
        event.comment,
    ]


def write_curve(path: Path, measured: Sequence[Measured]) -> None:
    rows = [
        [str(row.step), *(_short(value) for value in (row.loss, row.grad_norm, row.lr))] for row in measured
    ]
    write_rows(path, ["step", "loss", "grad_norm", "lr"], rows)


def _short(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else str(value)


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
