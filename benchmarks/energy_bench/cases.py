"""What is measured: traces of power on kinds of boards, what befalls them, and how near a tool must come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from energy_bench.board import (
    Board,
    Event,
    average_board,
    instant_board,
    lost,
    nonsense_counter,
    outage,
    reset,
    slow,
    wrong_rate,
)
from energy_bench.powercap import Zone, packages
from energy_bench.trace import Ramp, Trace, Wave, steps, wave

COUNTER, AVERAGE, INSTANT, CPU = "counter", "average", "instant", "cpu"
TARGETS: Final[Mapping[str, float]] = {COUNTER: 0.001, AVERAGE: 0.01, INSTANT: 0.05, CPU: 0.001}
"""The largest error that is let pass, by the best that a kind of board tells."""
KINDS: Final[Mapping[str, Callable[[str, Trace, tuple[Event, ...]], Board]]] = {
    COUNTER: Board,
    AVERAGE: average_board,
    INSTANT: instant_board,
}


@dataclass(frozen=True, slots=True)
class Case:
    """A trace on a kind of board. The job runs from second 0 to `seconds`.

    Of a case that no tool can see in full (`hidden`), the stated interval must hold the truth, or a gap be
    told. Where the calls of a reading take `late_s`, nobody knows when within them a value was read.
    """

    trace: str
    kind: str
    seconds: float
    boards: tuple[Board, ...] = ()
    zones: tuple[Zone, ...] = ()
    hidden: bool = False
    late_s: float = 0.0

    @property
    def target(self) -> float:
        """The largest error that is let pass; of a counter more, as far as slow calls blur both its ends."""
        late_j = self.late_s * sum(board.limit_w for board in self.boards)
        return TARGETS[self.kind] + late_j / self.truth_j(0.0, self.seconds)

    @property
    def name(self) -> str:
        """Trace and kind."""
        return f"{self.trace} / {self.kind}"

    @property
    def components(self) -> tuple[str, ...]:
        """Of which devices the energy is asked for."""
        return ("package", "dram") if self.zones else ("gpu", "module")

    def truth_j(self, start_s: float, end_s: float) -> float:
        """Return the true energy of what is asked for between two times."""
        boards = sum(board.trace.energy_j(start_s, end_s) for board in self.boards)
        counted = [zone for zone in self.zones if zone.name in ("package-0", "dram")]
        return boards + sum(zone.trace.energy_j(start_s, end_s) * zone.share for zone in counted)


CONSTANT: Final = steps((30.0, 700.0))
STEP: Final = steps((10.0, 100.0), (10.0, 700.0), (10.0, 100.0))
BURST: Final = steps((27.5, 60.0), (2.5, 700.0))
SECONDS: Final = wave(40.0, 1.0, 0.8, 650.0, 250.0)
LOCKED: Final = wave(30.0, 0.1, 0.5, 600.0, 200.0)
"""The sensor's window, 25 ms of every 100, lies in the same half of each period."""
CHECKPOINTS: Final = Trace(
    tuple(
        piece
        for start in (0.0, 12.0, 24.0)
        for piece in (
            Wave(start, start + 9.5, 0.73, 0.8, 650.0, 250.0),
            Ramp(start + 9.5, start + 12.0, 100.0, 100.0),
        )
    )
)
_PLAIN: Final = {
    "constant": CONSTANT,
    "step": STEP,
    "burst at the end": BURST,
    "1 s period": SECONDS,
    "100 ms period": LOCKED,
    "checkpoints": CHECKPOINTS,
}
_LOADS_W: Final = (700.0, 650.0, 600.0, 500.0, 400.0, 300.0, 200.0, 75.0)


def _case(trace: str, kind: str, power: Trace, *events: Event, hidden: bool = False) -> Case:
    return Case(trace, kind, power.end_s, (KINDS[kind]("GPU-0", power, events),), hidden=hidden)


def _plain() -> list[Case]:
    return [
        _case(name, kind, power, hidden=power is LOCKED and kind == INSTANT)
        for name, power in _PLAIN.items()
        for kind in KINDS
    ]


def _mishaps() -> list[Case]:
    long = wave(90.0, 1.7, 0.6, 650.0, 250.0)
    unseen = _case("reset never seen", COUNTER, CONSTANT, reset(5.0, 12.0, 5.2), hidden=True)
    young = replace(unseen.boards[0], initial_j=200.0)
    return [
        _case("reset", COUNTER, CHECKPOINTS, reset(13.0, 13.6), hidden=True),
        _case("reload", COUNTER, CHECKPOINTS, reset(13.0, 14.6, needs_init=True), hidden=True),
        replace(unseen, boards=(young,)),
        _case("outage", COUNTER, STEP, outage(8.0, 18.0)),
        *(_case("outage", kind, STEP, outage(8.0, 18.0), hidden=True) for kind in (AVERAGE, INSTANT)),
        *(_case("lost", kind, STEP, lost(18.0), hidden=True) for kind in KINDS),
        _case("counter at half rate", COUNTER, long, wrong_rate(-1e9, 1e9, 0.5), hidden=True),
        _case("counter at 10 x", COUNTER, long, wrong_rate(-1e9, 1e9, 10.0), hidden=True),
        _case("nonsense", COUNTER, CHECKPOINTS, nonsense_counter(15.0, 17.5, 2**63 - 1)),
        replace(_case("slow calls", COUNTER, CHECKPOINTS, slow(-1e9, 1e9, 0.1)), late_s=0.05),
        _case("slow calls", AVERAGE, CHECKPOINTS, slow(-1e9, 1e9, 0.1)),
    ]


def _many() -> list[Case]:
    def board(kind: str, number: int, watts: float) -> Board:
        power = wave(30.0, 0.9 + 0.1 * number, 0.75, watts, watts / 2)
        return replace(KINDS[kind](f"GPU-{number}", power, ()), phase_s=0.011 * number)

    return [
        Case("8 boards", kind, 30.0, tuple(board(kind, i, watts) for i, watts in enumerate(_LOADS_W)))
        for kind in KINDS
    ]


def _cpus() -> list[Case]:
    power, memory = wave(60.0, 1.3, 0.7, 280.0, 180.0), steps((60.0, 30.0))
    range_uj = 6_553_261_098  # wraps twice; the real one, ten times as wide, would take minutes
    return [
        Case("RAPL wraps", CPU, 60.0, zones=tuple(packages(power, memory, range_uj=range_uj, mirrored=True)))
    ]


CASES: Final[tuple[Case, ...]] = (*_plain(), *_mishaps(), *_many(), *_cpus())
