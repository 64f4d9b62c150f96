"""`trimtab dashboards build` and `trimtab dashboards check`: Grafana dashboards as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from trimtab_dashboards.files import FOLDER, stale, write
from trimtab_monitor.cli.failure import failing_as

app = typer.Typer(help="Grafana dashboards, as files that Grafana reads.", no_args_is_help=True)

FolderOption = Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where the JSON files lie.")]


@app.command("build")
def build(folder: FolderOption = FOLDER) -> None:
    """Build the dashboards' JSON from their code."""
    with failing_as("dashboards build"), _sdk_wanted():
        changed = write(folder)
        for path in changed:
            typer.echo(f"wrote {path}")
        if not changed:
            typer.echo(f"{folder}: up to date")


@app.command("check")
def check(folder: FolderOption = FOLDER) -> None:
    """Check that the JSON is what the code builds."""
    with failing_as("dashboards check"), _sdk_wanted():
        old = stale(folder)
        if old:
            names = ", ".join(str(path) for path in old)
            raise RuntimeError(f"not what the code builds: {names}; run: trimtab dashboards build")
        typer.echo(f"{folder}: up to date")


@contextmanager
def _sdk_wanted() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("grafana_foundation_sdk"):
            raise
        raise RuntimeError("building needs Grafana's SDK: pip install 'trimtab[grafana]'") from None
