"""`trimtab replay`: the detectors over recorded runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trimtab_monitor.cli.energy_flags import ConfigFile
from trimtab_monitor.cli.failure import WRONG_INPUT, failing_as
from trimtab_monitor.cli.replay_pictures import Pictures
from trimtab_monitor.cli.replay_progress import ReplayProgress
from trimtab_monitor.cli.standard_input import STANDARD_INPUT, named_as_given, readable
from trimtab_monitor.console import make_console
from trimtab_monitor.json_out import to_json
from trimtab_monitor.replay.columns import NoRun, UnreadableRun
from trimtab_monitor.replay.folders import recorded_runs
from trimtab_monitor.replay.runner import Options, Replayed, replay_file
from trimtab_monitor.replay.text import tell
from trimtab_monitor.settings_load import SettingsInvalid, load_settings


class Format(StrEnum):
    """How to tell it."""

    TEXT = "text"
    JSON = "json"


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            readable=False,  # our readers say what is wrong with one, and go on to the next
            help="CSV with a header, JSON Lines or array, trainer_state.json, TensorBoard event file; "
            "a folder of them; - is standard input.",
        ),
    ],
    format_: Annotated[
        Format, typer.Option("--format", help="For people, or one JSON object a line for each file.")
    ] = Format.TEXT,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png", help="Draw loss and incidents: into this file, or one each in a folder."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The column or tag to take as the loss.  [default: loss, ...]"),
    ] = None,
    step_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The column with the step; none: count rows.  [default: step, ...]"
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Run the detectors over recorded runs, and tell what went wrong and where.

    All files are replayed; if one cannot be read, that is told at once, and the exit code is 2 at the end.
    """
    with failing_as("replay"):
        if files.count(STANDARD_INPUT) > 1:
            raise ValueError("-: standard input can be read once; give - once")
        pictures = Pictures.into(plot)
        options = _options(config)
        options = replace(options, metric=metric, step_column=step_column, note=_note)
        runs = list(_runs(files))
        found = [run for run in runs if run.problem is None]
        pictures.check(len(found))
        replays = _Replays(
            replace(options, keep_curves=plot is not None), format_, ReplayProgress(len(found))
        )
        pictures.draw(replays.over(runs), [run.path for run in found])
    if replays.failed or not replays.told:
        raise typer.Exit(WRONG_INPUT)


@dataclass(frozen=True, slots=True)
class _Run:
    """A recorded run that was named, or found in a folder; or why there was none."""

    path: Path
    named: bool = True
    problem: str | None = None


def _runs(files: Iterable[Path]) -> Iterator[_Run]:
    """What is to be replayed: folders give the runs in them."""
    for file in files:
        if file == STANDARD_INPUT or not file.is_dir():
            yield _Run(file)
            continue
        try:
            yield from [_Run(path, named=False) for path in recorded_runs(file, _note)]
        except NoRun as error:
            yield _Run(file, problem=str(error))


def _options(config: Path | None) -> Options:
    try:
        settings = load_settings(config)
    except SettingsInvalid as error:
        raise ValueError(str(error)) from None
    return Options(detectors=settings.detectors, incidents=settings.incidents)


def _note(text: str) -> None:
    sys.stderr.write(f"trimtab replay: {text}\n")


@dataclass(slots=True)
class _Replays:
    """Replays run after run and tells each; knows how many were told, and whether one should have been."""

    options: Options
    format_: Format
    progress: ReplayProgress
    told: int = 0
    failed: bool = False

    def over(self, runs: Sequence[_Run]) -> Iterator[Replayed]:
        """Replay and tell; yield what was replayed."""
        console = make_console()
        for run in runs:
            replayed = self._one(run)
            if replayed is None:
                continue
            self.told += 1
            with _writing():
                self._tell(replayed, console)
            yield replayed

    def _tell(self, replayed: Replayed, console: Console) -> None:
        if self.format_ is Format.JSON:
            typer.echo(to_json(replayed.as_json()).decode())
        else:
            tell(replayed, console)

    def _one(self, run: _Run) -> Replayed | None:
        """Replay one; say why that cannot be done, or not in full."""
        if run.problem is not None:
            self._fail(run.problem)
            return None
        try:
            with self.progress.replaying(run.path.name) as tick:
                replayed = _replay(run.path, replace(self.options, tick=tick))
        except UnreadableRun as error:
            if isinstance(error, NoRun) and not run.named:
                _note(f"passed over {error}")
            else:
                self._fail(str(error))
            return None
        if replayed.damage is not None:
            self._fail(replayed.damage)
        return replayed

    def _fail(self, problem: str) -> None:
        _note(problem)
        self.failed = True


@contextmanager
def _writing() -> Iterator[None]:
    """Say what could not be written, and what to do."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # what it still holds cannot be written at the end either
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"standard output: {reason}; free some space, or write it elsewhere") from None


def _replay(file: Path, options: Options) -> Replayed:
    with readable(file) as path:
        note = options.note
        named = replace(options, note=lambda text: note(named_as_given(text, file, path)))
        try:
            replayed = replay_file(path, named)
        except UnreadableRun as error:
            error.args = (named_as_given(str(error), file, path),)
            raise
        damage = replayed.damage and named_as_given(replayed.damage, file, path)
        return replace(replayed, path=file, damage=damage)
