"""The list of commands."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from trimtab.version import __version__
from trimtab_monitor.cli.lazy import LazyCommands, LazyGroup

COMMANDS: Final = {
    "demo": "trimtab_monitor.cli.demo",
    "serve": "trimtab_monitor.cli.serve",
    "tail": "trimtab_monitor.cli.tail",
    "replay": "trimtab_monitor.cli.replay",
    "report": "trimtab_monitor.cli.report",
    "estimate": "trimtab_monitor.cli.estimate",
    "doctor": "trimtab_monitor.cli.doctor",
    "alerts": "trimtab_monitor.cli.alerts",
    "dashboards": "trimtab_monitor.cli.dashboards",
}
"""Every command, and the module that is imported when it is called."""


class _Root(LazyGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands(COMMANDS)


app = typer.Typer(
    name="trimtab",
    cls=_Root,
    help="Notice a training run going wrong, roll it back, and add up what it cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
