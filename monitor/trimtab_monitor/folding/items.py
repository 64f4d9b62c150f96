"""A batch taken apart into what happened one after the other, so that where it was cut makes no difference.

Rows and events each keep their order. An event at step s happened after the row of step s (a checkpoint
saved at s holds the state after s), one without a step after the rows that are not later than it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trimtab import wire
from trimtab_monitor.folding.events import Event, read_event
from trimtab_monitor.types import Sample

Item = Sample | Event


def items_of(batch: wire.Batch) -> Iterator[Item]:
    """The rows and events of a batch in the order in which they happened."""
    events = iter(batch.events)
    event = next(events, None)
    for sample in samples_of(batch):
        while event is not None and _is_before(event, sample):
            yield read_event(event)
            event = next(events, None)
        yield sample
    while event is not None:
        yield read_event(event)
        event = next(events, None)


def _is_before(event: Mapping[str, Any], sample: Sample) -> bool:
    step = event.get("step")
    return bool(event["time"] < sample.time if step is None else step < sample.step)


def samples_of(batch: wire.Batch) -> Iterator[Sample]:
    """The rows of a batch, each with what was measured there."""
    columns = list(batch.metrics.items())
    for row, (step, time) in enumerate(zip(batch.step, batch.time, strict=True)):
        values = {name: column[row] for name, column in columns if wire.is_measured(column[row])}
        yield Sample(step, time, values, batch.attempt, batch.rank)
