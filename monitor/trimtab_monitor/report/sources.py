"""Where a report's facts come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from trimtab_monitor.report.build import RunView

LAST: Final = "last"
_LISTED: Final = 10


class UnknownRun(ValueError):  # noqa: N818 - a state, told as such
    """There is no such run; the message lists those that there are."""

    def __init__(self, run: str, runs: Sequence[str], where: str) -> None:
        listed = ", ".join(runs[:_LISTED]) + (", ..." if len(runs) > _LISTED else "")
        known = f"no run {run!r}; it knows {listed}" if runs else "no run at all"
        super().__init__(f"{where} knows {known}")


class Source(Protocol):
    """Something that knows runs."""

    where: str

    def runs(self, project: str | None = None) -> list[str]:
        """Their ids, newest first; only those of a project, if one is named."""

    def view(self, run: str) -> RunView:
        """One of them, which there is."""

    def close(self) -> None:
        """Let go of it."""


def find_runs(source: Source, wanted: Sequence[str]) -> list[str]:
    """The runs' ids in the order given, each once; `last` is the newest.

    Raises:
        UnknownRun: there is none of one of them.
    """
    runs = source.runs()
    return list(dict.fromkeys(_found(each, runs, source.where) for each in wanted))


def runs_of(source: Source, project: str) -> list[str]:
    """The ids of all runs of a project, newest first.

    Raises:
        ValueError: there is none.
    """
    runs = source.runs(project)
    if not runs:
        raise ValueError(
            f"{source.where} knows no run of project {project!r}; `trimtab report RUN` names a run"
        )
    return runs


def _found(wanted: str, runs: Sequence[str], where: str) -> str:
    if wanted in runs:
        return wanted
    if wanted == LAST and runs:
        return runs[0]
    raise UnknownRun(wanted, runs, where)
