"""The commands that wait for their jobs, at hand for every answer to a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trimtab.wire import Command


class PendingCommands:
    """Written by the fold once they are committed, read by any thread."""

    def __init__(self, commands: Iterable[tuple[str, Command]] = ()) -> None:
        self._by_run: dict[str, tuple[Command, ...]] = {}
        self.update(commands)

    def of(self, run: str) -> list[Command]:
        """The commands of a run that wait, in the order in which they were given."""
        return list(self._by_run.get(run, ()))

    def update(self, commands: Iterable[tuple[str, Command]]) -> None:
        """Take in commands that are new or have changed."""
        for run, command in commands:
            self._put(run, command)

    def _put(self, run: str, command: Command) -> None:
        others: Sequence[Command] = [each for each in self._by_run.get(run, ()) if each.id != command.id]
        waiting = (*others, command) if command.state == "pending" else tuple(others)
        if waiting:
            self._by_run[run] = waiting
        else:
            self._by_run.pop(run, None)
