"""What a client is to the benchmark: how it is opened, given a step's metrics, and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

Log = Callable[[int, Mapping[str, float]], None]
"""Log a step: its number and its metrics by name, the standard ones first."""

PROJECT: Final = "benchmark"
STANDARD: Final = ("loss", "grad_norm", "lr")
WIDTHS: Final = (3, 100, 1000)
"""Metrics a step."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client, in the folder that its process runs in.

    `opened` gives what logs a step, and closes the client at the end of the block; it is given the address
    of a collector, which only Trimtab needs, and how many metrics a step will have. `read` counts the steps
    that can be read back in that folder afterwards; None: it is not read that way. `distribution` is what is
    installed, empty for what Python has.
    A slow client is given a `share` of the steps of the others, and perhaps not all `widths`, so that the
    figures arrive the same day.
    """

    name: str
    distribution: str
    opened: Callable[[str, int], AbstractContextManager[Log]]
    read: Callable[[], int] | None
    share: float = 1.0
    widths: tuple[int, ...] = WIDTHS
    environ: Mapping[str, str] = field(default_factory=dict)


def metrics(width: int, step: int) -> dict[str, float]:
    """Make the metrics of a step: loss, gradient norm and learning rate, then as many others as it takes."""
    loss = 2.0 + 1.0 / (step + 1)
    values = {"loss": loss, "grad_norm": 1.0 + 1e-6 * step, "lr": 1e-3}
    for number in range(width - len(values)):
        values[f"layer/{number:03}"] = loss + number
    return values
