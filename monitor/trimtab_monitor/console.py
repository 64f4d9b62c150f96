"""Where commands print for people."""

from __future__ import annotations

import os
from typing import Final

from rich.console import Console

PIPE_COLUMNS: Final = 1000
"""Wide enough for every table: what reads a pipe has no edge at which to wrap."""


def make_console() -> Console:
    """A console on standard output: as wide as the terminal, or COLUMNS; wrapping nothing in a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = PIPE_COLUMNS
    return console
