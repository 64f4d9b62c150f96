"""Where commands print, for people and for programs."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any, Final

import msgspec
import typer
from rich.console import Console, RenderableType

PIPE_COLUMNS: Final = 1000
"""Wide enough for every table: what reads a pipe has no edge at which to wrap."""


def make_console() -> Console:
    """A console on standard output: as wide as the terminal, or COLUMNS; wrapping nothing in a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = PIPE_COLUMNS
    return console


class Format(StrEnum):
    """How to tell it."""

    TEXT = "text"
    JSON = "json"


def tell(format_: Format, facts: Any, told: RenderableType) -> None:
    """Print facts for programs, or what is told of them for people."""
    if format_ is Format.JSON:
        print_json(facts)
    else:
        make_console().print(told)


def print_json(facts: Any) -> None:
    """Print facts as indented JSON."""
    typer.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode())
