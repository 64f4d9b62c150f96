"""`GET /v1/runs/{run}/series`: one metric over steps, in few points, straight from the log."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final, Literal

from trimtab_monitor.series.columns import MetricColumns, Rows, all_attempts, newest_attempts, no_rows
from trimtab_monitor.series.downsample import downsample
from trimtab_monitor.series.shards import norms, shard_of
from trimtab_monitor.series.spread import SpreadColumns, parted
from trimtab_monitor.store.protocols import Log

Attempt = Literal["newest", "all"] | int
MAX_CACHED: Final = 4096
"""Series remembered at most, however small: anybody may ask for names that nobody sends."""

_Key = tuple[str, int | None, str]
"""Run, rank (none: over all of them) and metric."""


class _Cached:
    """One metric's columns; one thread at a time brings them up to date."""

    def __init__(self, columns: MetricColumns | SpreadColumns) -> None:
        self.lock = threading.Lock()
        self.columns = columns


class SeriesReader:
    """Reads series. What was asked for before is kept, up to `max_bytes`: only what is new is read."""

    def __init__(self, log: Log, max_bytes: int) -> None:
        self._log = log
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._cache: OrderedDict[_Key, _Cached] = OrderedDict()

    def read(
        self,
        run: str,
        metric: str,
        *,
        rank: int | None = None,
        world_size: int | None = None,
        attempt: Attempt = "newest",
        from_step: int | None = None,
        to_step: int | None = None,
        points: int = 1000,
    ) -> dict[str, Any]:
        """The series as the API tells it; steps from `from_step` to `to_step`, both included.

        Without `rank` it is that of the lowest rank that measured it. A norm that no rank tells is made of
        the shards of all `world_size` ranks; `loss/mean`, `/min` and `/max` of the losses of all ranks, and
        so of any other metric.
        """
        rows = self._lead_rows(run, metric) if rank is None else self._rows(run, rank, metric)
        if not len(rows) and (shard := shard_of(metric)) is not None:
            rows = self._norms(run, shard, world_size or 1)
        elif not len(rows) and rank is None and (of := parted(metric)) is not None:
            rows = self._spread(run, *of)
        rows = _of_attempt(rows, attempt)
        rows = _between(rows, from_step, to_step)
        rows = rows.take(downsample(rows.value, points))
        return {
            "metric": metric,
            "step": rows.step.tolist(),
            "time": rows.time.tolist(),
            "value": rows.value.tolist(),
            "attempt": rows.attempt.tolist(),
        }

    def _lead_rows(self, run: str, metric: str) -> Rows:
        each_rank = (self._rows(run, rank, metric) for rank in self._log.ranks(run))
        return next((rows for rows in each_rank if len(rows)), no_rows())

    def _norms(self, run: str, shard: str, world_size: int) -> Rows:
        """None while a rank is missing; only ranks that sent something are looked at.

        A layer need not be on every rank: those that sent it make it up.
        """
        ranks = self._log.ranks(run)
        if len(ranks) < world_size:
            return no_rows()
        shards = [self._rows(run, rank, shard) for rank in ranks[:world_size]]
        return norms([rows for rows in shards if len(rows)] if "/" in shard else shards)

    def _rows(self, run: str, rank: int, metric: str) -> Rows:
        cached = self._cached((run, rank, metric))
        with cached.lock:
            assert isinstance(cached.columns, MetricColumns)
            cached.columns.catch_up(self._log, run, rank)
            rows = cached.columns.rows
        self._evict()
        return rows

    def _spread(self, run: str, metric: str, ending: str) -> Rows:
        cached = self._cached((run, None, metric))
        with cached.lock:
            assert isinstance(cached.columns, SpreadColumns)
            cached.columns.catch_up(self._log, run)
            rows = cached.columns.spread.told(ending)
        self._evict()
        return rows

    def _cached(self, key: _Key) -> _Cached:
        _, rank, metric = key
        with self._lock:
            if key not in self._cache:
                self._cache[key] = _Cached(SpreadColumns(metric) if rank is None else MetricColumns(metric))
            self._cache.move_to_end(key)
            return self._cache[key]

    def _evict(self) -> None:
        """Forget what was asked for longest ago; the newest stays, however large."""
        with self._lock:
            size = sum(cached.columns.nbytes for cached in self._cache.values())
            while len(self._cache) > MAX_CACHED or (size > self._max_bytes and len(self._cache) > 1):
                _, oldest = self._cache.popitem(last=False)
                size -= oldest.columns.nbytes


def _of_attempt(rows: Rows, attempt: Attempt) -> Rows:
    if attempt == "all":
        return all_attempts(rows)
    if attempt == "newest":
        return newest_attempts(rows)
    return newest_attempts(rows.take(rows.attempt == attempt))


def _between(rows: Rows, from_step: int | None, to_step: int | None) -> Rows:
    if from_step is not None:
        rows = rows.take(rows.step >= from_step)
    if to_step is not None:
        rows = rows.take(rows.step <= to_step)
    return rows
