"""`trimtab replay`: the detectors over recorded runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from trimtab_monitor.cli.failure import WRONG_INPUT, failing_as
from trimtab_monitor.cli.outputs import check_writable
from trimtab_monitor.cli.standard_input import STANDARD_INPUT, named_as_given, readable
from trimtab_monitor.console import make_console
from trimtab_monitor.json_out import to_json
from trimtab_monitor.replay.columns import UnreadableRun
from trimtab_monitor.replay.runner import Options, Replayed, replay_file
from trimtab_monitor.replay.text import tell
from trimtab_monitor.settings_load import SettingsInvalid, load_settings

MOST_PLOTTED = 20
"""A picture of more runs than this nobody could read."""


class Format(StrEnum):
    """How to tell it."""

    TEXT = "text"
    JSON = "json"


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="CSV with a header, JSON Lines or array, trainer_state.json; - is standard input.",
        ),
    ],
    format_: Annotated[
        Format, typer.Option("--format", help="For people, or one JSON object a line for each file.")
    ] = Format.TEXT,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Draw loss and incidents into this file.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column to take as the loss.  [default: loss, ...]")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="The settings' file, if not trimtab.toml here.")] = None,
) -> None:
    """Run the detectors over recorded runs, and tell what went wrong and where.

    All files are replayed; if one cannot be read, that is told at once, and the exit code is 2 at the end.
    """
    with failing_as("replay"):
        if plot is not None and len(files) > MOST_PLOTTED:
            raise ValueError(f"--plot: {len(files)} files; give at most {MOST_PLOTTED}")
        if files.count(STANDARD_INPUT) > 1:
            raise ValueError("-: standard input can be read once; give - once")
        check_writable("--plot", plot)
        options = replace(_options(config), metric=metric, keep_curves=plot is not None, note=_note)
        done, all_read = _replay_all(files, options, format_)
        if plot is not None and done:
            _draw(done, plot)
    if not all_read:
        raise typer.Exit(WRONG_INPUT)


def _options(config: Path | None) -> Options:
    try:
        settings = load_settings(config)
    except SettingsInvalid as error:
        raise ValueError(str(error)) from None
    return Options(detectors=settings.detectors, incidents=settings.incidents)


def _note(text: str) -> None:
    sys.stderr.write(f"trimtab replay: {text}\n")


def _replay_all(files: list[Path], options: Options, format_: Format) -> tuple[list[Replayed], bool]:
    """Replay and tell file by file; return what a picture needs, and whether all could be read."""
    console = make_console()
    kept: list[Replayed] = []
    all_read = True
    for ordinal, file in enumerate(files, start=1):
        try:
            with _progress(f"{file.name} ({ordinal} of {len(files)})") as tick:
                replayed = _replay(file, replace(options, tick=tick))
        except UnreadableRun as error:
            _note(str(error))
            all_read = False
            continue
        _tell(replayed, format_, console)
        if options.keep_curves:
            kept.append(replayed)
    return kept, all_read


def _replay(file: Path, options: Options) -> Replayed:
    with readable(file) as path:
        note = options.note
        named = replace(options, note=lambda text: note(named_as_given(text, file, path)))
        try:
            return replace(replay_file(path, named), path=file)
        except UnreadableRun as error:
            error.args = (named_as_given(str(error), file, path),)
            raise


def _tell(replayed: Replayed, format_: Format, console: Console) -> None:
    if format_ is Format.JSON:
        typer.echo(to_json(replayed.as_json()).decode())
    else:
        tell(replayed, console)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int], None]]:
    """Count rows on standard error while a file is read, only where a person looks at it; gone when done."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed:,.0f} rows"))
    with Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(name, total=None)
        yield lambda rows: bar.advance(task, rows)


def _draw(runs: list[Replayed], path: Path) -> None:
    from trimtab_monitor.replay.plot import draw

    try:
        draw(runs, path)
    except OSError as error:
        raise OSError(f"--plot {path}: {error.strerror or error}; give a file that can be written") from None
