"""What dead processes left is not kept for ever: the oldest of it is deleted, counted and told.

It waits for a collector that may never come back. Without a bound a job that is started again and again while
its collector is away would fill the disk, one folder a start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab.guard import Tally
from trimtab.outbound.process_dir import ProcessDir, folders, read_meta
from trimtab.outbound.recovery import belongs_elsewhere, still_seconds
from trimtab.outbound.remains import unspooled
from trimtab.outbound.spool import FileSpool

LOG = logging.getLogger("trimtab")

DAY_SECONDS: Final = 86400.0
EXPIRED: Final = "they waited for the collector for too long"
CROWDED_OUT: Final = "dead processes had left more than is kept for a collector that is away"


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what dead processes left is kept, and how much of it in all."""

    seconds: float
    total_bytes: int


def forget_old(root: Path, keep: Keep, drops: Tally) -> None:
    """Delete the folders of dead processes under `root` that are too old, and the oldest beyond the bound."""
    total = 0
    for held in _dead(root):
        try:
            total += _size(held.path)
            if still_seconds(held.path) > keep.seconds:
                _forget(held, EXPIRED, drops)
            elif total > keep.total_bytes:
                _forget(held, CROWDED_OUT, drops)
        except (OSError, ValueError) as error:
            LOG.info("trimtab: %s: it is left as it is: %s", held.path, error)
        finally:
            held.release()


def _dead(root: Path) -> Iterator[ProcessDir]:
    """Lock the folders of this host's dead processes one after the other, newest first."""
    for path in reversed(folders(root)):
        try:
            held = ProcessDir.take(path)
        except OSError:
            continue
        if held is None:
            continue
        identity, _ = read_meta(path)
        if identity is None or belongs_elsewhere(identity, path):
            held.release()
        else:
            yield held


def _forget(held: ProcessDir, reason: str, drops: Tally) -> None:
    identity, names = read_meta(held.path)
    assert identity is not None, "others are passed over"
    spool = FileSpool(held.path, 2**20)
    steps = sum(record.rows for record in unspooled(held.path, identity, names, spool))
    while (record := spool.first()) is not None:
        steps += record.rows
        spool.confirm()
    held.remove()
    drops.count(reason, f"steps of run {identity.run}, rank {identity.rank}", by=max(steps, 1))
    LOG.warning("trimtab: %s: %d steps of a dead process are deleted: %s", identity.run, steps, reason)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir() if file.exists())
