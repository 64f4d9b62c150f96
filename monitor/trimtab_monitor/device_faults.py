"""What a GPU's driver reported of it, in words, and how grave that is.

The numbers are NVIDIA's XIDs (https://docs.nvidia.com/deploy/xid-errors). Those that are usually the
application's own doing are a mark; those of the hardware are a warning, or critical where the board, or what
it computed, cannot be relied on any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from trimtab_monitor.types import Severity


class Meaning(NamedTuple):
    """What a report says, how grave it is, and what to do."""

    severity: Severity
    told: str
    remedy: str


_LOOK: Final = "look at the job first: it is usually the application's doing"
_RESET: Final = "reset the GPU, and exchange it if that comes again"
_EXCHANGE: Final = "take the host out of use, and exchange the GPU"

XIDS: Final[Mapping[int, Meaning]] = {
    13: Meaning("info", "a kernel failed (graphics engine exception)", _LOOK),
    31: Meaning("info", "a kernel reached for memory that is not its own (page fault)", _LOOK),
    43: Meaning("info", "the GPU stopped working for a process", _LOOK),
    45: Meaning("info", "work was cleared away after an earlier error", _LOOK),
    48: Meaning("critical", "an error of its memory that could not be corrected (double bit)", _RESET),
    61: Meaning("warning", "its microcontroller stopped at a breakpoint", _RESET),
    62: Meaning("critical", "its microcontroller halted", _RESET),
    63: Meaning("warning", "a bad part of its memory will be replaced by a spare one", "reset the GPU soon"),
    64: Meaning("critical", "a bad part of its memory could not be replaced", _EXCHANGE),
    74: Meaning(
        "critical", "an error of an NVLink", "look at the links (nvidia-smi nvlink -e) and the switch"
    ),
    79: Meaning("critical", "it has fallen off the bus", _EXCHANGE),
    92: Meaning("warning", "many errors of its memory had to be corrected", _RESET),
    94: Meaning("warning", "an error of its memory, contained in one application", "restart what it ended"),
    95: Meaning("critical", "an error of its memory that was not contained", _RESET),
    119: Meaning("critical", "its system processor (GSP) does not answer", _RESET),
    120: Meaning("critical", "an error of its system processor (GSP)", _RESET),
}
_OTHER: Final = Meaning("warning", "see NVIDIA's list of XIDs", "look at the kernel's log on that host")
_MEMORY: Final = Meaning("critical", "of its memory could not be corrected", _RESET)


def meaning(xid: int | None) -> Meaning:
    """Return what an XID means; None is an error of memory that the counters tell.

    >>> meaning(79).severity, meaning(31).severity, meaning(999).severity, meaning(None).severity
    ('critical', 'info', 'warning', 'critical')
    """
    return _MEMORY if xid is None else XIDS.get(xid, _OTHER)


def sentence(device: str, host: str | None, xid: int | None, count: int) -> str:
    """Say what was reported, and what to do; `count` is how often, or how many errors of memory.

    >>> sentence("GPU-a", "node1", 79, 1)
    'GPU-a on node1 reports XID 79: it has fallen off the bus: take the host out of use, and exchange the GPU'
    """
    what = meaning(xid)
    where = device if host is None else f"{device} on {host}"
    if xid is None:
        return f"{where}: {count} {'error' if count == 1 else 'errors'} {what.told}: {what.remedy}"
    times = "" if count == 1 else f" {count} times"
    return f"{where} reports XID {xid}{times}: {what.told}: {what.remedy}"
