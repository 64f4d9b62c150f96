"""Tells what is followed and found: coloured in a terminal, plain lines in a pipe, or an object a line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from trimtab_monitor.json_out import to_json
from trimtab_monitor.replay.text import KIND_WIDTH, STYLES

QUIET: Final = "dim"


class Telling:
    """Writes to standard output; notes go to standard error, unless all is JSON."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json

    def following(self, path: Path, run: str, url: str, *, again: bool) -> None:
        """A log is followed now; `again`: it was before."""
        if self._as_json:
            self._object("following", file=str(path), run=run, url=url, again=again)
        else:
            self._line(f"{path}: {'goes on with' if again else 'is'} run {run}  {url}".rstrip(), QUIET)

    def note(self, text: str) -> None:
        """Something worth knowing, and no incident."""
        if self._as_json:
            self._object("note", text=text)
        else:
            sys.stderr.write(f"trimtab tail: {text}\n")
            sys.stderr.flush()

    def incident(self, path: Path, run: str, incident: Mapping[str, Any]) -> None:
        """An incident is new, or changed."""
        if self._as_json:
            self._object("incident", file=str(path), run=run, incident=incident)
            return
        over = incident["state"] == "resolved"
        severity = "resolved" if over else incident["severity"]
        step = incident["end_step"] if over else incident["detected_step"]
        self._line(
            f"{path.name}: {severity:8} {incident['kind']:{KIND_WIDTH}} step {step}: {incident['summary']}",
            "green" if over else STYLES[incident["severity"]],
        )

    def end(self, path: Path, run: str | None, rows: int, incidents: int) -> None:
        """A log is followed no more."""
        if self._as_json:
            self._object("end", file=str(path), run=run, rows=rows, incidents=incidents)
            return
        found = (
            "no incident" if incidents == 0 else "1 incident" if incidents == 1 else f"{incidents} incidents"
        )
        told = f"{rows} rows sent, {found}; run {run}" if rows else f"nothing new; run {run}"
        self._line(f"{path}: {told if run else 'nothing was read'}", "bold")

    def _line(self, text: str, style: str) -> None:
        self._console.print(Text(text, style=style if self._console.is_terminal else ""), soft_wrap=True)

    def _object(self, kind: str, **fields: Any) -> None:
        sys.stdout.write(to_json({"event": kind, **fields}).decode() + "\n")
        sys.stdout.flush()
