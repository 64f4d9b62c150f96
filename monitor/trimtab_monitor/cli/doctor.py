"""`trimtab doctor`: what this machine can measure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trimtab_monitor.checkup import check_up
from trimtab_monitor.cli.energy_flags import ConfigFile
from trimtab_monitor.cli.failure import failing_as
from trimtab_monitor.console import Format, tell
from trimtab_monitor.pricing.places import Intensity, lookup, places


def command(
    list_places: Annotated[
        bool, typer.Option("--places", help="List the places whose carbon intensity is known, instead.")
    ] = False,
    word: Annotated[
        str, typer.Argument(metavar="[WORD]", help="With --places: only those with this in them.")
    ] = "",
    format_: Annotated[Format, typer.Option("--format", help="How to tell it.")] = Format.TEXT,
    config: ConfigFile = None,
) -> None:
    """Say what this machine can measure and how, what stands in the way, and the remedy.

    Wrong settings are told with the rest, and end it with exit code 2.
    """
    with failing_as("doctor"):
        if list_places:
            _tell_places(format_, word)
        elif word:
            raise ValueError(f"unexpected argument {word!r}; a word goes with --places")
        else:
            _tell_facts(format_, config)


def _tell_places(format_: Format, word: str) -> None:
    found = places(word) or [lookup(word)]  # nothing has the word in it: which are near it?
    tell(format_, [msgspec.to_builtins(place) for place in found], _places(found))


def _tell_facts(format_: Format, config: Path | None) -> None:
    facts = check_up(config, os.environ)
    tell(format_, facts, Group(*_sections(facts)))
    wrong = facts["settings"]["problem"]
    if wrong:
        raise ValueError(wrong)


def _sections(facts: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Text(f"trimtab {facts['trimtab']}, Python {facts['python']}, {facts['platform']}", style="bold")
    yield _sensors(facts)
    yield _checks(facts)
    yield _packages(facts)
    for remedy in facts["remedies"]:
        yield Text(f"- {remedy}")


def _sensors(facts: Mapping[str, Any]) -> Table:
    table = Table("sensor", "device", "part", "energy by", "problem", title="Energy", title_justify="left")
    for sensor in facts["sensors"]:
        problem = sensor["problem"] or ""
        for device in sensor["found"] or [{"name": "none", "component": "", "method": ""}]:
            cells = (sensor["sensor"], device["name"], device["component"], device["method"], problem)
            table.add_row(*map(Text, cells))
            problem = ""
    return table


def _checks(facts: Mapping[str, Any]) -> Table:
    collector, folder = facts["collector"], facts["folder"]
    table = Table(show_header=False)
    table.add_row("collector", Text(f"{collector['url'] or ''} {collector['detail']}".strip()))
    table.add_row("folder", Text(f"{folder['path']}: {'writable' if folder['writable'] else 'not writable'}"))
    table.add_row("settings", Text(facts["settings"]["problem"] or "valid"))
    return table


def _packages(facts: Mapping[str, Any]) -> Text:
    versions = (f"{name} {version or 'not installed'}" for name, version in facts["packages"].items())
    return Text(", ".join(versions), style="dim")


def _places(found: list[Intensity]) -> Table:
    table = Table("key", "name", "scope", "g/kWh", "year", "source")
    for place in found:
        year = f"{place.year}{'' if place.quality == 'ok' else f' ({place.quality})'}"
        cells = (place.key, place.name, place.scope, f"{place.g_per_kwh:.2f}", year, place.source)
        table.add_row(*map(Text, cells))
    return table
