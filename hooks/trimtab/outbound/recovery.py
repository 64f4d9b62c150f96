"""Delivers what dead processes left behind: nothing lost, nothing invented, nothing counted twice.

A process that is killed leaves its folder (see process_dir.py): batches in the spool that the collector has
not confirmed, and rows in the ring that were not packed yet. Whoever comes next on that host, the embedded
collector or the next job, takes the folder's lock, delivers both in order, tells that the process died, and
deletes the folder. Killed in the middle of that, it leaves the folder to the next.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab.identity import RunIdentity, host_name
from trimtab.outbound.giving_way import GiveWay, never
from trimtab.outbound.process_dir import REJECTED, ProcessDir, folders, read_meta
from trimtab.outbound.remains import unspooled
from trimtab.outbound.ring import RingVersionError
from trimtab.outbound.spool import FileSpool, SpoolRecord

LOG = logging.getLogger("trimtab")

OTHER_HOST_SECONDS: Final = 3600.0
"""How long a folder of another host must be still: a shared file system may not share its locks, and the ring
in that host's memory can be read there only."""

_MOST_TOLD: Final = 1024
_told: set[str] = set()
"""The folders of which this process has said why it leaves them."""


class NotDeliveredError(RuntimeError):
    """The collector cannot be reached now: the folder is left for another time."""


Deliver = Callable[[RunIdentity, SpoolRecord], None]
"""Makes a batch durable, registering the run if it is unknown; raises `NotDeliveredError` to try again later.

A batch that can never be accepted is for it to put somewhere; returning means that it is dealt with.
"""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a sweep did."""

    processes: int = 0
    batches: int = 0
    rows: int = 0

    def __add__(self, other: Recovered) -> Recovered:
        return Recovered(
            self.processes + other.processes, self.batches + other.batches, self.rows + other.rows
        )


def sweep(root: Path, deliver: Deliver, only_run: str | None = None, give_way: GiveWay = never) -> Recovered:
    """Deliver and delete the folders under `root` whose process is dead, oldest first.

    `only_run` leaves those of other runs alone. Folders that another process holds are passed over, and so
    are those that cannot be delivered now, or not by this process: of another user, or of another version.
    `give_way` is called at each turn of the work. Cheap where there is nothing to do.
    """
    done = Recovered()
    for path in folders(root):
        if only_run is not None and not path.name.startswith(f"{only_run}.r"):
            continue
        try:
            done += _take_and_recover(path, deliver, give_way)
        except (OSError, RingVersionError) as error:
            _tell_once(path, error)
    return done


def _take_and_recover(path: Path, deliver: Deliver, give_way: GiveWay) -> Recovered:
    held = ProcessDir.take(path)
    if held is None:
        return Recovered()
    try:
        return _recover(held, deliver, give_way)
    except NotDeliveredError as error:
        LOG.info("trimtab: %s: what a dead process left is delivered later: %s", path.name, error)
        return Recovered()
    finally:
        held.release()


def _tell_once(path: Path, error: Exception) -> None:
    """Say why a folder is left to others; the collector looks every second."""
    if path.name not in _told and len(_told) < _MOST_TOLD:
        _told.add(path.name)
        LOG.warning("trimtab: %s: what a dead process left stays there: %s", path, error)


def _recover(held: ProcessDir, deliver: Deliver, give_way: GiveWay) -> Recovered:
    identity, names = read_meta(held.path)
    if identity is None:
        _put_aside(held, "meta.jsonl does not say whose it is")
        return Recovered()
    if belongs_elsewhere(identity, held.path):
        return Recovered()
    spool = FileSpool(held.path, 2**20)
    last = unspooled(held.path, identity, names, spool, give_way)
    done = _deliver_spool(spool, identity, deliver) + _deliver_all(last, identity, deliver)
    held.remove()
    LOG.info("trimtab: %s: a dead process left %d rows; they are delivered", identity.run, done.rows)
    return Recovered(processes=1) + done


def _deliver_spool(spool: FileSpool, identity: RunIdentity, deliver: Deliver) -> Recovered:
    done = Recovered()
    while (record := spool.first()) is not None:
        deliver(identity, record)
        spool.confirm()
        done += Recovered(batches=1, rows=record.rows)
    return done


def _deliver_all(records: Iterable[SpoolRecord], identity: RunIdentity, deliver: Deliver) -> Recovered:
    done = Recovered()
    for record in records:
        deliver(identity, record)
        done += Recovered(batches=1, rows=record.rows)
    return done


def belongs_elsewhere(identity: RunIdentity, path: Path) -> bool:
    """Tell whether a folder is for its own host to deal with: its process may live."""
    return identity.host != host_name() and still_seconds(path) < OTHER_HOST_SECONDS


def still_seconds(path: Path) -> float:
    """Return for how long nothing was written to the files of a folder."""
    return time.time() - max(file.lstat().st_mtime for file in path.iterdir())


def _put_aside(held: ProcessDir, why: str) -> None:
    """Move a folder that nobody can deliver out of the way, where a person can look at it."""
    aside = held.path.parent / REJECTED / held.path.name
    LOG.warning("trimtab: %s: %s: moved to %s", held.path, why, aside)
    aside.parent.mkdir(exist_ok=True)
    shutil.move(held.path, aside)
