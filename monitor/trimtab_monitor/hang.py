"""Tells a person where to look when a run hangs: at which rank, at which device, or at the host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trimtab_monitor.detectors.gauges import Gauge
from trimtab_monitor.liveness import Liveness

BUSY: Final = 0.5
IDLE: Final = 0.1
NAMED: Final = 4


def where_to_look(
    liveness: Liveness, world_size: int | None, gauges: Iterable[Gauge]
) -> tuple[str, dict[str, Any]]:
    """Return what ranks and devices show while the run makes no step, and the evidence for it.

    Who waits in an exchange of gradients keeps its GPU fully used; the one that all wait for does not.
    """
    devices = [gauge for gauge in gauges if gauge.means[1] is not None and not gauge.silent]
    told = [text for text in (_ranks(liveness, world_size), _devices(devices)) if text]
    evidence: dict[str, Any] = {"ranks_behind": list(liveness.ranks_behind())[:64]}
    if devices:
        evidence["util"] = {_name(gauge): gauge.means[1] for gauge in devices[:64]}
    return "; ".join(told), evidence


def _ranks(liveness: Liveness, world_size: int | None) -> str:
    steps = liveness.last_steps
    if len(steps) < 2:
        return ""  # one rank may tell for all
    newest = max(steps.values())
    silent = sorted(set(range(world_size or 0)) - steps.keys())
    if 0 < len(silent) <= len(steps):
        return f"{_those('rank', silent)} never made a step: look there first"
    behind = liveness.ranks_behind()
    if not behind:
        return f"all {len(steps)} ranks made step {newest}"
    if 2 * len(behind) <= len(steps):
        at = min(steps[rank] for rank in behind)
        return f"{_those('rank', behind)} stopped at step {at}, the others at {newest}: look there first"
    return f"only {_those('rank', sorted(steps.keys() - set(behind)))} came to step {newest}"


def _devices(devices: Sequence[Gauge]) -> str:
    util: Mapping[str, float] = {_name(gauge): gauge.means[1] or 0.0 for gauge in devices}
    busy = [name for name, used in util.items() if used >= BUSY]
    idle = [name for name, used in util.items() if used < IDLE]
    if len(devices) < 2:
        return _alone(util)
    if len(idle) == len(devices):
        return f"all {len(idle)} GPUs are idle: it waits for data, storage or a lock on a host"
    if len(busy) == len(devices):
        return (
            f"all {len(busy)} GPUs are busy: ranks wait for each other in an exchange, or a kernel never ends"
        )
    if busy and idle and len(idle) <= len(busy):
        are = "is" if len(idle) == 1 else "are"
        return f"{_count(len(busy))} busy waiting, {_those('', idle)} {are} idle: look there first"
    return f"of {len(devices)} GPUs {len(busy)} are busy and {len(idle)} idle"


def _alone(util: Mapping[str, float]) -> str:
    for used in util.values():
        if used >= BUSY:
            return "its GPU is busy: a kernel never ends, or it waits for another rank"
        if used < IDLE:
            return "its GPU is idle: it waits for data, storage or a lock on the host"
    return ""


def _count(number: int) -> str:
    return "1 GPU is" if number == 1 else f"{number} GPUs are"


def _name(gauge: Gauge) -> str:
    return f"{gauge.uuid} on {gauge.host}"


def _those(noun: str, members: Sequence[object]) -> str:
    """Name a few, and count the others.

    >>> _those("rank", [3]), _those("rank", [1, 2, 3, 4, 5, 6])
    ('rank 3', 'ranks 1, 2, 3, 4 and 2 more')
    """
    plural = noun + "s" if noun and len(members) > 1 else noun
    rest = f" and {len(members) - NAMED} more" if len(members) > NAMED else ""
    return f"{plural} {', '.join(str(member) for member in members[:NAMED])}{rest}".strip()
