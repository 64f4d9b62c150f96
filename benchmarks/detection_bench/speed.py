"""What a sample costs, whether that grows with the run, and how much a run's detectors keep."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from time import perf_counter
from typing import Any

import msgspec
from numpy.random import default_rng

from detection_bench.cases.base import healthy
from trimtab_monitor.detectors import DetectorSet, DetectorSettings
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.types import Sample

BLOCK = 100_000


def measure(samples: int) -> dict[str, Any]:
    """Run so many samples of one metric through all detectors and the incident book."""
    losses = _losses(samples)
    detectors, book = DetectorSet.build(DetectorSettings()), IncidentBook("speed")
    seconds = []
    for begin in range(0, samples, BLOCK):
        block = losses[begin : begin + BLOCK]
        started = perf_counter()
        for step, loss in enumerate(block, start=begin + 1):
            sample = Sample(step, float(step), {"loss": loss})
            book.observe(sample, detectors.update(sample), detectors.active)
        seconds.append((perf_counter() - started) / len(block))
    return {
        "benchmark": "detection speed",
        "samples": samples,
        "seconds": round(sum(seconds) * samples / len(seconds), 2),
        "us_per_sample_first": round(1e6 * seconds[0], 2),
        "us_per_sample_last": round(1e6 * seconds[-1], 2),
        "state_bytes": len(msgspec.msgpack.encode(detectors)) + len(msgspec.msgpack.encode(book)),
        "memory_bytes": deep_size(detectors) + deep_size(book),
    }


def _losses(samples: int) -> list[float]:
    """A healthy loss: as long a run as is asked for, from blocks of fresh noise."""
    made = healthy(default_rng(1), min(samples, BLOCK))
    losses: list[float] = (made.level + made.noise).tolist()
    while len(losses) < samples:
        losses += (made.level[-1] + default_rng(len(losses)).permutation(made.noise)).tolist()
    return losses[:samples]


def deep_size(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes that a value and all that it holds occupy in this interpreter, each object once."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    return sys.getsizeof(thing) + sum(deep_size(each, seen) for each in _held(thing))


def _held(thing: Any) -> list[Any]:
    if is_dataclass(thing):
        return [getattr(thing, each.name) for each in fields(thing)]
    if isinstance(thing, Mapping):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, (list, tuple, set, frozenset)):
        return list(thing)
    try:
        return list(thing)  # a deque, an array
    except TypeError:
        return []
