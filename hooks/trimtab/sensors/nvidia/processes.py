"""What part of a board is this run's, where other processes use it too.

Held: by the number of processes with a context on it. Used: by the part of the multiprocessors' time that
each took. Both are only known where the driver and this process speak of the same pids: in a container of its
own they are not known, and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimtab.sensors.nvidia.boards import Board

Pids = Callable[[], frozenset[int] | None]


class Shares:
    """This run's parts of one board, 0 to 1, as last asked; None: nobody else is seen on it.

    `pids` returns the run's processes on this host. The driver takes 50 to 100 ms to list processes: ask
    seldom.
    """

    def __init__(self, board: Board, pids: Pids) -> None:
        self.used: float | None = None
        self.held: float | None = None
        self._board = board
        self._pids = pids
        self._seen_until = 0

    def ask(self) -> None:
        """Ask the driver who is on the board."""
        self.used = self.held = None
        ours = self._pids()
        present = {process.pid for process in self._running()}
        if ours is None or not present & ours or present <= ours:
            return
        self.held = len(present & ours) / len(present)
        self.used = self._used(ours)

    def _running(self) -> list[Any]:
        return self._board.ask("nvmlDeviceGetComputeRunningProcesses_v3") or []

    def _used(self, ours: frozenset[int]) -> float | None:
        """Return our part of the work since the last call; of no work, or none told, that which we hold."""
        samples = self._board.ask("nvmlDeviceGetProcessUtilization", self._seen_until) or []
        new = [sample for sample in samples if sample.timeStamp > self._seen_until]
        in_all = sum(sample.smUtil for sample in new)
        if not in_all:
            return self.held
        self._seen_until = max(sample.timeStamp for sample in new)
        return float(sum(sample.smUtil for sample in new if sample.pid in ours) / in_all)
