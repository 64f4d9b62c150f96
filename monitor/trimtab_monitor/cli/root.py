"""The list of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.version import __version__
from trimtab_monitor.cli import alerts, dashboards, demo, doctor, replay, report, serve

app = typer.Typer(
    name="trimtab",
    help="Notice a training run going wrong, roll it back, and add up what it cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo")(demo.command)
app.command("serve")(serve.command)
app.command("replay")(replay.command)
app.command("report")(report.command)
app.command("doctor")(doctor.command)
app.add_typer(alerts.app, name="alerts")
app.add_typer(dashboards.app, name="dashboards")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trimtab {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    del version
