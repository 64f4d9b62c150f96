"""Remembers how far each log was followed, so that a second start goes on with the same run."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Final

import msgspec

from trimtab import notes
from trimtab_monitor.replay.readers.event_names import event_files_in

HEAD: Final = 4096
"""So many bytes at its beginning tell one file from another of the same name."""


class Followed(msgspec.Struct, frozen=True):
    """What was sent of a log: the run, the last attempt and step of the file's own, and how the file began.

    `head` is the checksum of its first `head_bytes`.
    """

    run: str
    attempt: int
    step: int
    head_bytes: int
    head: str


class Memory:
    """The note of one log in the data folder, of one collector."""

    def __init__(self, folder: Path, log: Path, url: str | None) -> None:
        self._log = log
        key = hashlib.sha256(f"{url or ''}\n{log.resolve()}".encode()).hexdigest()[:32]
        self._file = folder / "tails" / key

    def recall(self) -> Followed | None:
        """Return what was sent of this log; None: nothing was, or another log has its name now."""
        try:
            known = msgspec.json.decode(notes.read(self._file) or "", type=Followed)
        except (OSError, msgspec.DecodeError):
            return None
        return known if _head(self._log, known.head_bytes) == (known.head_bytes, known.head) else None

    def keep(self, run: str, attempt: int, step: int) -> None:
        """Note what was sent."""
        size, head = _head(self._log, HEAD)
        followed = Followed(run, attempt, step, size, head)
        with contextlib.suppress(OSError):
            notes.replace(self._file, msgspec.json.encode(followed).decode())


def _head(log: Path, size: int) -> tuple[int, str]:
    """How many bytes the beginning has, `size` at most, and their checksum; of a folder, its first file's."""
    try:
        first = event_files_in(log)[0] if log.is_dir() else log
        with first.open("rb") as file:
            data = file.read(size)
    except (OSError, IndexError):
        return 0, ""
    return len(data), hashlib.sha256(data).hexdigest()
