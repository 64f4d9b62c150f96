"""Taking things down in the opposite order of their making."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)


class Teardown:
    """What is to be undone, last first. A step that fails is named, and the others are done all the same."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def add(self, name: str, undo: Callable[[], None]) -> None:
        """Undo this too, before what was added earlier."""
        self._steps.append((name, undo))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run()

    def run(self) -> None:
        """Undo everything."""
        while self._steps:
            name, undo = self._steps.pop()
            try:
                undo()
            except Exception:  # whatever it is, the others are to be undone too
                log.exception("shutdown: %s failed", name)
