"""How surely, and how soon, a slow rank and a faulty GPU are told: `.venv/bin/python benchmarks/ranks.py`.

Jobs are made up, seeded: lognormal noise of a tenth on each step, ranks that differ by 2 %, a slow begin, a
pause every hundred steps, single steps ten times as long; boards that differ by 2 % and 2.5 degrees, and
rest during the pauses. Delays are in steps of a second, for devices in seconds. Last come the false alarms of
all runs, and their rate for a thousand hours of a rank or a device.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from trimtab import wire
from trimtab_monitor.detectors.faulty_device import FaultyDevice
from trimtab_monitor.detectors.straggler import Straggler
from trimtab_monitor.types import Finding, Sample

ONSET = 300
START = 1.7e9

Reading = tuple[float, float, float]
FAULTS: dict[str, Callable[[Reading], Reading]] = {
    "throttled": lambda r: (0.7 * r[0], r[1], r[2] + 10),
    "idle": lambda r: (0.3 * r[0], 0.02, r[2] - 15),
    "capped": lambda r: (0.7 * r[0], r[1], r[2] - 3),
    "none": lambda r: r,
}


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the table."""

    case: str
    members: int
    runs: int
    found: float | None
    delay: float | None
    slowest: float | None
    wrong: int
    member_hours: float


def ranks(members: int, factor: float, seed: int, steps: int) -> Iterator[Sample]:
    """Samples of a job, one step a second, of which one rank is slower from `ONSET` on."""
    rng, time = random.Random(seed), START
    paces = [rng.gauss(0, 0.02) for _ in range(members)]
    for step in range(1, steps + 1):
        common = (30.0 / step if step < 4 else 1.0) * (20.0 if step % 100 == 0 else 1.0)
        time += common
        for rank, pace in enumerate(paces):
            slow = factor if rank == seed % members and step >= ONSET else 1.0
            once = 10.0 if rng.random() < 0.002 else 1.0
            seconds = common * slow * once * math.exp(pace + rng.gauss(0, 0.1))
            yield Sample(step, time, {wire.OWN_SECONDS: seconds}, rank=rank)


def straggler(members: int, factor: float, seed: int, steps: int) -> list[Finding]:
    """What is told of such a job."""
    detector = Straggler()
    return [found for s in ranks(members, factor, seed, steps) if (found := detector.update(s)) is not None]


def device(members: int, fault: str, seed: int, seconds: int) -> list[Finding]:
    """What is told of boards of which one is at fault from `ONSET` on; readings come every five seconds."""
    rng, detector, found = random.Random(seed), FaultyDevice(), []
    boards = [(rng.gauss(1, 0.02), rng.gauss(0, 2.5)) for _ in range(members)]
    for second in range(0, seconds, 5):
        saving = second % 400 >= 380
        for number, (draw, heat) in enumerate(boards):
            power = (150.0 if saving else 600.0) * draw + rng.gauss(0, 15)
            util = 0.05 if saving else min(1.0, rng.gauss(0.95, 0.04))
            reading = (power, util, 62.0 + heat + rng.gauss(0, 1))
            if number == seed % members and second >= ONSET:
                reading = FAULTS[fault](reading)
            detector.read(_device(number, reading))
        found += detector.judge(second, START + second)
    return found


def _device(number: int, reading: Reading) -> wire.Device:
    power, util, temp = (array("d", [value]) for value in reading)
    where = (f"host-{number // 8}", "boot", f"GPU-{number}", "gpu", "H100", "counter")
    return wire.Device(
        *where,  # type: ignore[arg-type]
        time=array("d", [0.0]),
        power_w=power,
        util=util,
        temp_c=temp,
    )


def score(
    case: str,
    members: int,
    tell: Callable[[int], list[Finding]],
    right: Callable[[Finding, int], bool],
    hours: float,
    runs: int,
) -> Score:
    """Play a case with several seeds. The first right finding counts, all others are wrong."""
    delays: list[float] = []
    wrong = 0
    for seed in range(runs):
        told = tell(seed)
        hits = [found for found in told if right(found, seed % members) and found.step >= ONSET]
        wrong += len(told) - len(hits)
        if hits:
            delays.append(hits[0].step - ONSET)
    quiet = case.endswith("none")
    return Score(
        case,
        members,
        runs,
        None if quiet else len(delays) / runs,
        statistics.median(delays) if delays else None,
        max(delays, default=None),
        wrong,
        hours * runs * members,
    )


def scores(runs: int, sizes: list[int]) -> Iterator[Score]:
    """Every case at every size; larger jobs are played less often."""
    for members in sizes:
        few = max(1, runs * 16 // max(members, 16))
        for factor in (1.0, 1.2, 1.5, 2.0):
            name = "straggler none" if factor == 1.0 else f"straggler {factor:g} times"
            steps = 4000 if factor == 1.0 else 1000
            yield score(
                name,
                members,
                lambda seed, f=factor, n=steps, m=members: straggler(m, f, seed, n),  # type: ignore[misc]
                lambda found, bad: bad in found.evidence["slow_ranks"],
                steps * 1.19 / 3600,
                few,
            )
        for fault in FAULTS:
            seconds = 4000 if fault == "none" else 1000
            yield score(
                f"device {fault}",
                members,
                lambda seed, f=fault, n=seconds, m=members: device(m, f, seed, n),  # type: ignore[misc]
                lambda found, bad: found.evidence["device"] == f"GPU-{bad}",
                seconds / 3600,
                few,
            )


def main() -> None:
    """Print the table; `--json` prints one line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for row in scores(asked.runs, asked.sizes):
        if asked.json:
            print(json.dumps(asdict(row)))
            continue
        told = "" if row.found is None else f"found {row.found:4.0%}"
        delay = "" if row.delay is None else f"after {row.delay:.0f}, at most {row.slowest:.0f}"
        rate = 1000 * row.wrong / row.member_hours
        print(
            f"{row.case:20} {row.members:4} x {row.runs:2} runs  {told:10} {delay:24} wrong {row.wrong}, "
            f"{rate:.2f}"
        )


if __name__ == "__main__":
    main()
