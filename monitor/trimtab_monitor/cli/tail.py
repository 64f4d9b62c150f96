"""`trimtab tail`: watches a run by the log that it writes already."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from trimtab.job_settings import JobSettings
from trimtab.log_patterns import own_pattern
from trimtab_monitor.cli.failure import failing_as
from trimtab_monitor.console import make_console
from trimtab_monitor.replay.columns import Columns
from trimtab_monitor.tail.follower import Follower, Named
from trimtab_monitor.tail.following import Following, Until
from trimtab_monitor.tail.formats import Wanted
from trimtab_monitor.tail.targets import Targets
from trimtab_monitor.tail.telling import Telling


class Format(StrEnum):
    """How to tell it."""

    TEXT = "text"
    JSON = "json"


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            readable=False,  # what is not there yet is waited for
            help="TensorBoard event file, JSON Lines, CSV with a header, or a plain log; a folder of them.",
        ),
    ],
    url: Annotated[str | None, typer.Option(help="The collector to send to.  [env: TRIMTAB_URL]")] = None,
    project: Annotated[
        str | None, typer.Option(help="What the run belongs to.  [default: the file's folder]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's name for people.  [default: the file]")] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="For people, or one JSON object a line.")
    ] = Format.TEXT,
    pattern: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="How a plain log tells a step: (?P<step>...) (?P<loss>...)."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The column or tag to take as the loss.  [default: loss, ...]"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Send what is there, and end.")] = False,
    until_idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.0, help="End when nothing was written for so long."),
    ] = None,
) -> None:
    """Follow what a run logs already, as it grows; send it to the collector and tell incidents as they come.

    The script that trains stays as it is. A second start goes on with the same run. Ctrl-C ends it.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with failing_as("tail"):
        wanted = Wanted(Columns(metric, everything=True), None if pattern is None else own_pattern(pattern))
        settings = JobSettings.from_environ(os.environ, url)
        telling = Telling(make_console(), as_json=format_ is Format.JSON)
        targets = Targets(files, wanted, telling.note)
        named = Named(project or settings.project, name or settings.name)
        following = Following(
            targets,
            lambda source: Follower(source, named, settings, telling),
            Until(once, until_idle),
            telling.note,
        )
        with _signals() as stop:
            took = following.run(stop)
        if once and targets.waits:
            raise ValueError(f"{', '.join(map(str, sorted(targets.waits)))}: there is nothing to read")
        if not took:
            left = "the collector did not take all yet: what is left is sent by the next start here"
            if not stop.is_set():
                raise RuntimeError(left)
            telling.note(left)


@contextmanager
def _signals() -> Iterator[Event]:
    """Yield what Ctrl-C and SIGTERM set; a second one ends at once."""
    stop = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, frame: object) -> None:
        del frame
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in before:
        signal.signal(number, end)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
