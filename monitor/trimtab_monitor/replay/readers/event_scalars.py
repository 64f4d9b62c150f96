"""The scalars of TensorBoard event files, tag by tag, those that could be of use."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from tensorboard.util.tensor_util import make_ndarray  # type: ignore[import-untyped]

from trimtab.usual_names import METRIC_NAMES, spelt
from trimtab_monitor.replay.columns import LAYER_PREFIX, Columns
from trimtab_monitor.replay.readers.event_records import read_events

TAGS_KEPT = 1000


@dataclass(slots=True)
class Tag:
    """One tag: step, value and time (Unix seconds) of each event, and the attempt that it belongs to.

    `last` are the attempt and the step of the last event that was taken.
    """

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    times: array[float] = field(default_factory=lambda: array("d"))
    attempts: array[int] = field(default_factory=lambda: array("q"))
    last: tuple[int, int] | None = None


@dataclass(slots=True)
class Scalars:
    """Gathers the tags that may stand for a standard metric, and the names of the others.

    An attempt ends where a tag goes back behind a step that it had in it. Tags are told one after the other:
    the first of them that goes back begins the new attempt for all.
    """

    columns: Columns
    tags: dict[str, Tag] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    attempt: int = 0

    def read(self, path: Path) -> None:
        """Take all of a file.

        Raises:
            RecordError: a record is cut off or damaged; what came before it was taken.
            OSError: the file cannot be read.
        """
        for event in read_events(path):
            self.take(event)

    def take(self, event: Any) -> None:
        """Take what is wanted of an event."""
        for value in event.summary.value:
            name = value.tag
            if name in self.tags or self._is_wanted(name):
                for number in _scalar(value):
                    self._take(name, event.step, event.wall_time, number)

    def taken(self) -> dict[str, Tag]:
        """Hand over what was taken since the last call; which attempt and step each tag is at stays known."""
        taken = {name: tag for name, tag in self.tags.items() if tag.steps}
        self.tags |= {name: Tag(last=tag.last) for name, tag in taken.items()}
        return taken

    def _is_wanted(self, name: str) -> bool:
        if name in self.others:
            return False
        wanted = self._may_stand_for_a_metric(name)
        if not wanted and len(self.others) < TAGS_KEPT:
            self.others.add(name)
        return wanted

    def _may_stand_for_a_metric(self, name: str) -> bool:
        metric = self.columns.metric
        key = spelt(name)
        usual = any(key in names for names in METRIC_NAMES.values())
        if self.columns.everything:
            return len(self.tags) < TAGS_KEPT
        return usual or name.startswith(LAYER_PREFIX) or (metric is not None and key == spelt(metric))

    def _take(self, name: str, step: int, time: float, value: float) -> None:
        tag = self.tags.get(name)
        if tag is None:
            tag = self.tags[name] = Tag()
        if tag.last is not None and tag.last[0] == self.attempt and step < tag.last[1]:
            self.attempt += 1
        tag.last = self.attempt, step
        tag.steps.append(step)
        tag.values.append(value)
        tag.times.append(time)
        tag.attempts.append(self.attempt)


def _scalar(value: Any) -> Iterator[float]:
    """Yield the number that a summary holds, as a simple value or as a tensor of one number, if any."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        yield float(value.simple_value)
    elif kind == "tensor" and prod(dim.size for dim in value.tensor.tensor_shape.dim) == 1:
        number = make_ndarray(value.tensor)
        if number.dtype.kind in "fiu" and number.size == 1:
            yield float(number.item())
