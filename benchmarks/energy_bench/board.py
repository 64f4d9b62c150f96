"""Make-believe NVIDIA boards: what each kind can tell, what it draws, and what befalls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from energy_bench.trace import Trace

ALL = "all"


class NvmlFailure(IntEnum):
    """What NVML returns of a board that does not answer."""

    NOT_SUPPORTED = 3
    GPU_IS_LOST = 15
    UNKNOWN = 999


@dataclass(frozen=True, slots=True)
class Event:
    """Something that befalls a board from `start_s` to `end_s`: a directive of the driver's script."""

    kind: str
    start_s: float
    end_s: float
    values: tuple[float | int | str, ...] = ()

    def line(self) -> str:
        """The directive."""
        return " ".join([self.kind, repr(self.start_s), repr(self.end_s), *map(str, self.values)])


def reset(
    start_s: float, end_s: float, counts_from_s: float | None = None, *, needs_init: bool = False
) -> Event:
    """The board is reset: no call on it answers, and the counter begins anew, at the end unless told.

    With `needs_init` the whole driver is reloaded, and what was opened before stays closed until nvmlInit is
    called again.
    """
    return Event(
        "reset", start_s, end_s, (end_s if counts_from_s is None else counts_from_s, int(needs_init))
    )


def outage(start_s: float, end_s: float, failure: NvmlFailure = NvmlFailure.UNKNOWN) -> Event:
    """No call on the board answers, while it works on."""
    return Event("outage", start_s, end_s, (int(failure),))


def lost(start_s: float) -> Event:
    """The board has fallen off the bus, for good."""
    return outage(start_s, 1e9, NvmlFailure.GPU_IS_LOST)


def slow(start_s: float, end_s: float, seconds: float, function: str = ALL) -> Event:
    """A function takes so long; every one unless named (as in the C library, `nvmlDeviceGetName`)."""
    return Event("slow", start_s, end_s, (seconds, function))


def wrong_rate(start_s: float, end_s: float, factor: float) -> Event:
    """The counter runs at `factor` of the true rate."""
    return Event("rate", start_s, end_s, (factor,))


def nonsense_counter(start_s: float, end_s: float, millijoules: int) -> Event:
    """The counter says the same value, whatever happens."""
    return Event("nonsense_counter", start_s, end_s, (millijoules,))


def nonsense_power(start_s: float, end_s: float, milliwatts: int) -> Event:
    """All power readings say the same value."""
    return Event("nonsense_power", start_s, end_s, (milliwatts,))


def process(start_s: float, end_s: float, pid: int, sm_percent: int, memory_bytes: int) -> Event:
    """A process computes on the board."""
    return Event("process", start_s, end_s, (pid, sm_percent, memory_bytes))


def throttle(start_s: float, end_s: float, bits: int) -> Event:
    """The clocks are held down, for reasons as NVML numbers them."""
    return Event("throttle", start_s, end_s, (bits,))


def ecc(start_s: float, end_s: float, count: int, *, corrected: bool) -> Event:
    """So many memory errors have been counted."""
    return Event("ecc", start_s, end_s, (count, int(not corrected)))


def xid(at_s: float, code: int) -> Event:
    """An error of this number is told to those who wait for events."""
    return Event("xid", at_s, at_s, (code,))


@dataclass(frozen=True, slots=True)
class Board:
    """A board as NVML shows it: an H100 unless told otherwise.

    Its values are renewed every `update_s`, first at `phase_s`. `usage` is what nvmlDeviceGetPowerUsage
    means: the mean of the last `average_s`, or of the last `window_s` (a momentary power); `average` and
    `instant` say whether the power fields 185 and 186 answer.
    """

    uuid: str
    trace: Trace
    events: tuple[Event, ...] = ()
    name: str = "NVIDIA H100 80GB HBM3"
    architecture: int = 9
    counter: bool = True
    average: bool = True
    instant: bool = True
    usage: Literal["none", "average", "instant"] = "average"
    update_s: float = 0.1
    phase_s: float = 0.037
    window_s: float = 0.025
    average_s: float = 1.0
    limit_w: float = 700.0
    initial_j: float = 1e6
    memory: int = 80 << 30
    module: bool = False
    slices: dict[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The board's part of the driver's script."""
        return [
            f"board {self.uuid}",
            f"name {self.name}",
            f"architecture {self.architecture}",
            f"counter {self.counter:d}",
            f"average {self.average:d}",
            f"instant {self.instant:d}",
            f"usage {self.usage}",
            f"update_s {self.update_s!r}",
            f"phase_s {self.phase_s!r}",
            f"window_s {self.window_s!r}",
            f"average_s {self.average_s!r}",
            f"limit_w {self.limit_w!r}",
            f"idle_w {self.trace.idle_w!r}",
            f"initial_j {self.initial_j!r}",
            f"memory {self.memory}",
            f"module {self.module:d}",
            *(f"slice {uuid} {sevenths}" for uuid, sevenths in self.slices.items()),
            *(piece.line() for piece in self.trace.pieces),
            *(event.line() for event in self.events),
        ]


def average_board(uuid: str, trace: Trace, events: tuple[Event, ...] = ()) -> Board:
    """A board without a counter that tells its power averaged over a second."""
    return Board(uuid, trace, events, name="NVIDIA RTX A6000", architecture=7, counter=False, instant=False)


def instant_board(uuid: str, trace: Trace, events: tuple[Event, ...] = ()) -> Board:
    """A board without a counter that tells its momentary power: that of 25 of every 100 milliseconds."""
    return Board(
        uuid,
        trace,
        events,
        name="NVIDIA A100-SXM4-80GB",
        architecture=7,
        counter=False,
        average=False,
        usage="instant",
    )
