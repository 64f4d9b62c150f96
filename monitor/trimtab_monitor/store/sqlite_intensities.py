"""Carbon intensities of grids in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import astuple

from trimtab_monitor.pricing.intensity.values import HourlyIntensity
from trimtab_monitor.store.database import Database

_PUT = """
INSERT INTO intensities (provider, zone, signal, hour, g_per_kwh, basis, is_estimated, fetched)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (provider, zone, signal, hour) DO UPDATE SET
    g_per_kwh = excluded.g_per_kwh, basis = excluded.basis,
    is_estimated = excluded.is_estimated, fetched = excluded.fetched
WHERE NOT excluded.is_estimated OR intensities.is_estimated OR intensities.fetched < intensities.hour + 3600
"""
_BETWEEN = """
SELECT signal, hour, g_per_kwh, basis, is_estimated, fetched FROM intensities
WHERE provider = ? AND zone = ? AND hour >= ? AND hour < ? ORDER BY signal, hour
"""


class SqliteIntensities:
    """See `protocols.IntensityTable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, values: Sequence[HourlyIntensity]) -> Future[None]:
        """See IntensityTable."""
        rows = [astuple(value) for value in values]

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany(_PUT, rows)

        return self._database.write(job)

    def between(self, provider: str, zone: str, from_hour: int, to_hour: int) -> list[HourlyIntensity]:
        """See IntensityTable."""
        with self._database.reading() as connection:
            rows = connection.execute(_BETWEEN, (provider, zone, from_hour, to_hour)).fetchall()
        return [
            HourlyIntensity(provider, zone, signal, hour, g_per_kwh, basis, bool(is_estimated), fetched)
            for signal, hour, g_per_kwh, basis, is_estimated, fetched in rows
        ]
