"""`trimtab alerts check` and `trimtab alerts test`: where alerts go, and whether they arrive."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Annotated

import typer

from trimtab_alerts.assembly import channels
from trimtab_alerts.dispatcher import Channel
from trimtab_alerts.outcome import Ok, Outcome
from trimtab_alerts.trial import Route, routes, try_out
from trimtab_monitor.cli.failure import failing_as
from trimtab_monitor.settings import Settings
from trimtab_monitor.settings_load import SettingsInvalid, load_settings

app = typer.Typer(help="Where alerts go: check it, try it.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings; without it, trimtab.toml if there.")
]


@app.command("check")
def check_routes(config: ConfigOption = None) -> None:
    """Check the alert settings, and print who is told of what."""
    with failing_as("alerts check"):
        found = routes(_settings(config).alerts)
        if not found:
            raise RuntimeError("no destination is set: nobody is told of anything; set one under [alerts]")
        width = max(len(route.name) for route in found)
        for route in found:
            typer.echo(f"{route.name:{width}}  {_told(route)}  ->  {route.target}")
        problems = [f"{route.name}: {route.problem}" for route in found if route.problem is not None]
        if problems:
            raise RuntimeError("\n".join(problems))


@app.command("test")
def send_test(
    config: ConfigOption = None,
    only: Annotated[
        list[str] | None, typer.Option("--to", metavar="NAME", help="Only this destination; may be repeated.")
    ] = None,
) -> None:
    """Send a test alert through each destination, take it back, and print what came of it."""
    with failing_as("alerts test"):
        settings = _settings(config)
        chosen = _chosen(channels(settings.alerts, settings.server.public_url), only or [])
        failed = []
        for trial in try_out(settings.alerts, chosen, socket.gethostname(), time.time()):
            typer.echo(f"{trial.name}: alert {_said(trial.trigger)}; its end {_said(trial.resolve)}")
            if not (isinstance(trial.trigger, Ok) and isinstance(trial.resolve, Ok)):
                failed.append(trial.name)
        if failed:
            raise RuntimeError(f"did not arrive at: {', '.join(failed)}")


def _settings(config: Path | None) -> Settings:
    try:
        return load_settings(config)
    except SettingsInvalid as error:
        raise ValueError(error) from None


def _chosen(every: list[Channel], only: list[str]) -> list[Channel]:
    names = [channel.name for channel in every]
    for name in only:
        if name not in names:
            raise ValueError(f"no destination is named {name!r}; there are: {', '.join(names)}")
    return [channel for channel in every if not only or channel.name in only]


def _told(route: Route) -> str:
    severities = "warning, critical" if route.min_severity == "warning" else "critical"
    return f"{severities}, and the end of each" if route.send_resolved else severities


def _said(outcome: Outcome) -> str:
    if isinstance(outcome, Ok):
        return f"arrived ({outcome.detail})"
    return f"FAILED ({outcome.error})"
