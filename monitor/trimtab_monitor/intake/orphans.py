"""Rows that dead processes on this host left behind, brought in through the same door as all others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from trimtab import wire
from trimtab.identity import RunIdentity
from trimtab.outbound.recovery import NotDeliveredError, sweep
from trimtab.outbound.spool import SpoolRecord
from trimtab_monitor.api.problems import Problem
from trimtab_monitor.entries import Registration
from trimtab_monitor.intake.admission import Admission
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.store.protocols import StoreUnavailable

log = logging.getLogger(__name__)

REJECTED: Final = "rejected"


class Orphans:
    """Sweeps the folders under `root` whose process is dead."""

    def __init__(self, root: Path, intake: Intake, admission: Admission) -> None:
        self._root = root
        self._intake = intake
        self._admission = admission

    def sweep(self) -> None:
        """Bring in what is there; what cannot be taken now is left for the next time."""
        sweep(self._root, self._deliver)

    def _deliver(self, identity: RunIdentity, record: SpoolRecord) -> None:
        try:
            batch = wire.decode(record.body)
        except wire.WireError as error:
            self._put_aside(identity, record, error)
            return
        try:
            self._append(identity, batch, record.body)
        except (Problem, StoreUnavailable) as error:
            raise NotDeliveredError(str(error)) from error

    def _append(self, identity: RunIdentity, batch: wire.Batch, body: bytes) -> None:
        run = identity.run
        if not self._intake.knows(run):
            self._intake.register(run, registration_of(identity.registration, run)).result()
        with self._admission.hold(run, len(body)) as held:
            appended = self._intake.append_batch(run, batch, body).result()
            held.stored = not appended.duplicate
        self._intake.counts.count(appended, batch, len(body))

    def _put_aside(self, identity: RunIdentity, record: SpoolRecord, error: wire.WireError) -> None:
        name = f"{identity.run}.r{identity.rank}.{record.attempt}.{record.seq}.msgpack"
        aside = self._root / REJECTED / name
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(record.body)
        self._intake.counts.count_refused()
        log.error(
            "run %s: a batch of a dead process cannot be read: %s: kept as %s", identity.run, error, aside
        )


def registration_of(body: Mapping[str, Any], run: str) -> Registration:
    """What a dead process would have registered its run with; of what cannot be read, its id at least."""
    try:
        return msgspec.convert(dict(body), type=Registration)
    except msgspec.ValidationError as error:
        log.warning("run %s: its registration cannot be read: %s", run, error)
        return Registration(project=run)
