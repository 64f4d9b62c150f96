"""A device's fault becomes an incident: one a device, told anew as more come, until the run is over."""

from __future__ import annotations

from typing import Any, Final

from trimtab_monitor.device_faults import meaning, sentence
from trimtab_monitor.folding.events import DeviceFault
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.types import SEVERITY_RANK, Incident

KIND: Final = "device_fault"
MOST_DEVICES: Final = 64
MOST_FAULTS: Final = 16
"""Kinds of fault kept of a device: the least grave are forgotten first."""
_MEMORY: Final = "ecc_uncorrected_errors"


def take_fault(state: RunState, event: DeviceFault, rank: int, now: float) -> Incident | None:
    """Open the incident of a device, or tell it anew, by its gravest fault.

    None: there are too many, or the event does not say what happened.
    """
    if event.xid is None and not event.ecc_uncorrected_errors:
        return None
    known = _open_incident(state, event.uuid)
    if known is None and _open_count(state) >= MOST_DEVICES:
        return None
    faults: dict[str, int] = dict(known.evidence["faults"]) if known else {}
    name = _MEMORY if event.xid is None else f"xid {event.xid}"
    faults[name] = faults.get(name, 0) + (event.ecc_uncorrected_errors or 1)
    if len(faults) > MOST_FAULTS:
        del faults[min(faults, key=_rank_of)]
    gravest = max(faults, key=_rank_of)
    evidence: dict[str, Any] = {
        "device": event.uuid,
        "name": event.device,
        "host": event.host,
        "rank": rank,
        "time": event.time,
        "faults": faults,
    }
    summary = sentence(event.uuid, event.host, _xid(gravest), faults[gravest])
    severity = meaning(_xid(gravest)).severity
    return state.incidents.open_special(KIND, severity, state.last_step, now, summary, evidence, event.uuid)


def _open_incident(state: RunState, uuid: str) -> Incident | None:
    for incident in state.incidents.open:
        if (incident.kind, incident.metric) == (KIND, uuid):
            return incident
    return None


def _open_count(state: RunState) -> int:
    return sum(incident.kind == KIND for incident in state.incidents.open)


def _xid(name: str) -> int | None:
    return None if name == _MEMORY else int(name.removeprefix("xid "))


def _rank_of(name: str) -> int:
    return SEVERITY_RANK[meaning(_xid(name)).severity]
