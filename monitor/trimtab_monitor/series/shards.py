"""A norm of a sharded run as a series: the root of the sum of every rank's squared shard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimtab_monitor.folding.shards import MARK, NORMS
from trimtab_monitor.series.columns import Rows, joined, newest_attempts, no_rows


def shard_of(metric: str) -> str | None:
    """Return the name under which ranks send their share of a norm, or of a layer's; None: it is no norm."""
    norm, slash, layer = metric.partition("/")
    return f"{norm}{MARK}{slash}{layer}" if norm in NORMS else None


def norms(shards: Sequence[Rows]) -> Rows:
    """The norm at every step of which all ranks' shards have come; times are the first rank's.

    `shards` has each rank's squared shards; within an attempt the last that a rank sent of a step counts.
    """
    apart = [_by_attempt(rows) for rows in shards]
    if not apart or not all(len(rows) for rows in apart):
        return no_rows()
    every = joined(apart)
    keys, first, which, count = np.unique(
        np.stack([every.attempt, every.step]),
        axis=1,
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    total = np.bincount(which.ravel(), weights=every.value)
    with np.errstate(invalid="ignore"):  # a negative sum is no norm: not a number
        norm = np.sqrt(total)
    return Rows(keys[0], keys[1], every.time[first], norm).take(count == len(shards))


def _by_attempt(rows: Rows) -> Rows:
    parts = [newest_attempts(rows.take(rows.attempt == attempt)) for attempt in np.unique(rows.attempt)]
    return joined(parts) if parts else rows
