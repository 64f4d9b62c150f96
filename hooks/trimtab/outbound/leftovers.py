"""Delivers over HTTP what dead processes left behind, each run to the collector that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trimtab.identity import RunIdentity
from trimtab.outbound.client import Client
from trimtab.outbound.delivery import Accepted, Later, Never, UnknownRun
from trimtab.outbound.giving_way import GivingWay
from trimtab.outbound.recovery import NotDeliveredError, Recovered, sweep
from trimtab.outbound.rejected import Rejected
from trimtab.outbound.spool import SpoolRecord


class Leftovers:
    """Sweeps the spool root of the calling job; `url` is its collector, None the embedded one of the folder.

    `connect` makes a client for another collector's address.
    """

    def __init__(
        self,
        root: Path,
        client: Client,
        url: str | None,
        rejected: Rejected,
        connect: Callable[[str], Client],
    ) -> None:
        self._root = root
        self._url = url
        self._clients: dict[str | None, Client] = {url: client}
        self._rejected = rejected
        self._connect = connect
        self._away: set[str | None] = set()

    def sweep(self, only_run: str | None = None) -> Recovered:
        """Deliver what can be delivered now; one failure speaks for all folders of that collector."""
        self._away.clear()
        return sweep(self._root, self._deliver, only_run, GivingWay())

    def _deliver(self, identity: RunIdentity, record: SpoolRecord) -> None:
        if identity.url in self._away:
            raise NotDeliveredError(f"{identity.url or 'the embedded collector'} did not answer just now")
        client = self._client(identity.url)
        outcome = client.send(identity.run, record)
        if isinstance(outcome, UnknownRun):
            client.register(identity)
            outcome = client.send(identity.run, record)
        if isinstance(outcome, Never):
            self._rejected.add(identity, record, outcome.reason)
        elif not isinstance(outcome, Accepted):
            self._away.add(identity.url)
            raise NotDeliveredError(outcome.reason if isinstance(outcome, Later) else "the run is unknown")

    def _client(self, url: str | None) -> Client:
        if url not in self._clients:
            if url is None:
                raise NotDeliveredError("it belongs to an embedded collector, and this job uses another")
            self._clients[url] = self._connect(url)
        return self._clients[url]
