"""A run as a list of batches: a seeded loss curve with spikes, readings and events, cut as one likes."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from trimtab import wire

Row = tuple[int, float, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Story:
    """What happened in one attempt of a run: rows, events and power, one reading a second.

    `spikes` are the steps at which the loss jumps, `nans` those at which it is not a number. `rollback` is
    what the owner of a process that starts here allows; none: the process goes on from the attempt before.
    """

    steps: int
    seed: int = 0
    first_step: int = 1
    start_time: float = 1_700_000_000.0
    spikes: Sequence[int] = ()
    nans: Sequence[int] = ()
    checkpoint_every: int = 20
    rollback: str | None = "off"
    extra_events: Sequence[Mapping[str, Any]] = field(default=())

    def time_of(self, step: int) -> float:
        """When a step ended, Unix seconds: one step a second."""
        return self.start_time + step

    def continuing(self, from_step: int, time: float, event: Mapping[str, Any]) -> Self:
        """The same, in a process that goes on from `from_step` at `time`, which tells of it by `event`."""
        return replace(
            self,
            first_step=from_step + 1,
            start_time=time - from_step,
            rollback=None,
            extra_events=[event, *self.extra_events],
        )

    def rows(self) -> list[Row]:
        """Loss, gradient norm and learning rate of every step."""
        rng = random.Random(self.seed)  # noqa: S311 - a seeded test series
        return [self._row(step, rng) for step in range(self.first_step, self.first_step + self.steps)]

    def _row(self, step: int, rng: random.Random) -> Row:
        loss = 2.0 + 2.0 * math.exp(-step / 100) + rng.gauss(0, 0.02)
        grad_norm = 1.0 + rng.gauss(0, 0.05)
        if any(spike <= step < spike + 4 for spike in self.spikes):
            loss, grad_norm = loss * 3, grad_norm * 20
        if step in self.nans:
            loss = math.nan
        return step, self.time_of(step), {wire.LOSS: loss, wire.GRAD_NORM: grad_norm, wire.LR: 1e-3}

    def events(self) -> list[dict[str, Any]]:
        """The start of the run, its checkpoints, and whatever else was asked for, in order."""
        events = [dict(event) for event in self.extra_events]
        if self.rollback is not None:
            before = self.first_step - 1
            start = {"kind": wire.RUN_START, "rollback": self.rollback, "boot_id": "boot"}
            events.append({**start, "step": before, "time": self.time_of(before)})
        last = self.first_step + self.steps
        for step in range(self.first_step, last):
            if step % self.checkpoint_every == 0:
                saved = {"checkpoint": f"memory-{step}", "where": "memory", "finite": True}
                events.append(
                    {"kind": wire.CHECKPOINT_SAVED, "step": step, "time": self.time_of(step), **saved}
                )
        return sorted(events, key=lambda event: float(event["time"]))

    def device(self, from_step: int, to_step: int) -> wire.Device:
        """The readings of a GPU from `from_step` to just before `to_step`: a counter of mJ, and power."""
        steps = range(from_step, to_step)
        return wire.Device(
            host="host",
            boot_id="boot",
            uuid="GPU-0",
            component="gpu",
            name="test board",
            method="counter",
            time=array("d", [self.time_of(step) for step in steps]),
            power_w=array("d", [250.0] * len(steps)),
            energy_counter=array("q", [1_000_000 + 250_000 * step for step in steps]),
            counter_unit_j=1e-3,
        )


def batches_of(
    story: Story, sizes: Iterator[int], *, attempt: int = 0, rank: int = 0, first_seq: int = 0
) -> list[wire.Batch]:
    """Cut a story into batches of so many rows each; events and readings go with the rows of their time."""
    rows, events = story.rows(), story.events()
    batches: list[wire.Batch] = []
    while rows:
        size = max(1, next(sizes))
        part, rows = rows[:size], rows[size:]
        last = part[-1][0]
        now = [event for event in events if not rows or event["step"] <= last]
        events = [event for event in events if event not in now]
        devices = [story.device(part[0][0], last + 1)]
        batches.append(_batch(part, now, devices, rank, first_seq + len(batches), attempt))
    return batches


def _batch(
    rows: Sequence[Row],
    events: Sequence[Mapping[str, Any]],
    devices: Sequence[wire.Device],
    rank: int,
    seq: int,
    attempt: int,
) -> wire.Batch:
    names = list(rows[0][2])
    return wire.Batch(
        rank=rank,
        seq=seq,
        attempt=attempt,
        step=array("q", [step for step, _, _ in rows]),
        time=array("d", [time for _, time, _ in rows]),
        metrics={name: array("d", [values[name] for _, _, values in rows]) for name in names},
        devices=devices,
        events=events,
    )
