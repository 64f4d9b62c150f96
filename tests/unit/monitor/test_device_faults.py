"""What the collector makes of a device's faults."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab import wire
from trimtab_alerts.settings import AlertSettings, WebhookSettings
from trimtab_monitor.entries import BatchReceived, Registration
from trimtab_monitor.folding.device_faults import MOST_DEVICES, MOST_FAULTS
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState, new_run, pack, unpack
from trimtab_monitor.settings import Settings
from trimtab_monitor.types import Incident

NOW = 1_700_001_000.0
SETTINGS = Settings(alerts=AlertSettings(webhooks=(WebhookSettings(name="hook", url="http://hook"),)))  # type: ignore[arg-type]


def new() -> RunState:
    return new_run("run", NOW, Registration(project="gpt"), SETTINGS)


def tell(state: RunState, *faults: dict[str, Any], kind: str = wire.DEVICE_FAULT, seq: int = 0) -> Effects:
    events = [{"kind": kind, "step": None, "time": 1000.0, **fault} for fault in faults]
    return fold(state, BatchReceived(NOW, "run", wire.Batch(rank=3, seq=seq, events=events)), SETTINGS)


def fault(uuid: str = "GPU-a", **what: Any) -> dict[str, Any]:
    return {"uuid": uuid, "device": "NVIDIA H100 80GB HBM3", "host": "node7", **what}


def only(effects: Effects) -> Incident:
    (incident,) = effects.incidents.values()
    return incident


@pytest.mark.parametrize(
    ("what", "severity"),
    [
        *(({"xid": xid}, "info") for xid in (13, 31, 43, 45)),
        *(({"xid": xid}, "warning") for xid in (63, 92, 94, 12345)),
        *(({"xid": xid}, "critical") for xid in (48, 64, 74, 79, 95, 119)),
        ({"ecc_uncorrected_errors": 2}, "critical"),
    ],
)
def test_a_fault_is_as_grave_as_its_class(what: dict[str, Any], severity: str) -> None:
    incident = only(tell(new(), fault(**what)))
    assert (incident.kind, incident.severity, incident.state) == ("device_fault", severity, "open")
    assert (incident.evidence["device"], incident.evidence["host"], incident.evidence["rank"]) == (
        "GPU-a",
        "node7",
        3,
    )


def test_the_sentence_says_where_what_and_what_to_do() -> None:
    assert only(tell(new(), fault(xid=79))).summary == (
        "GPU-a on node7 reports XID 79: it has fallen off the bus: "
        "take the host out of use, and exchange the GPU"
    )
    assert only(tell(new(), fault(ecc_uncorrected_errors=2))).summary.startswith(
        "GPU-a on node7: 2 errors of its memory could not be corrected: "
    )


def test_the_faults_of_a_device_are_one_incident_told_by_its_gravest() -> None:
    state = new()
    tell(state, fault(xid=31), fault(xid=31))
    tell(state, fault(xid=48))
    incident = only(tell(state, fault(xid=31)))
    assert (incident.severity, incident.evidence["faults"]) == ("critical", {"xid 31": 3, "xid 48": 1})
    assert "XID 48" in incident.summary
    assert len(state.incidents.open) == 1


def test_each_device_has_an_incident_of_its_own() -> None:
    state = new()
    assert len(tell(state, fault("GPU-a", xid=79), fault("GPU-b", xid=31)).incidents) == 2


def test_marks_page_nobody_and_hardware_does() -> None:
    assert tell(new(), fault(xid=31)).deliveries == []
    told = tell(new(), fault(xid=79)).deliveries
    assert [delivery.destination for delivery in told] == ["console", "hook"]


def test_it_ends_with_the_run() -> None:
    state = new()
    tell(state, fault(xid=79))
    ended = tell(state, {"status": "finished"}, kind=wire.RUN_END, seq=1)
    assert only(ended).state == "resolved"
    assert tell(state, fault(xid=79), seq=2).incidents == {}, "nobody can act on it any more"


def test_however_many_come_the_state_stays_small() -> None:
    state = new()
    for number in range(2 * MOST_DEVICES):
        tell(state, fault(f"GPU-{number}", xid=31), seq=number)
    assert len(state.incidents.open) == MOST_DEVICES
    tell(state, *(fault("GPU-0", xid=100 + number) for number in range(100)))
    assert len(state.incidents.open[0].evidence["faults"]) == MOST_FAULTS


def test_a_fault_that_is_kept_out_of_the_counts_is_still_told() -> None:
    state = new()
    tell(state, *(fault(xid=1000 + number) for number in range(MOST_FAULTS)))
    tell(state, fault(xid=79))
    assert "xid 79" in state.incidents.open[0].evidence["faults"], "graver than what is left out for it"


@pytest.mark.parametrize("what", [{"xid": "79"}, {"uuid": None, "xid": 79}, {"uuid": "x" * 10_000}])
def test_one_that_cannot_be_read_is_passed_over(what: dict[str, Any]) -> None:
    state = new()
    assert tell(state, {**fault(), **what}).incidents == {}
    assert state.tallies.unreadable_events == 1


def test_one_that_does_not_say_what_happened_tells_nothing() -> None:
    assert tell(new(), fault()).incidents == {}


def test_it_is_kept_with_the_run() -> None:
    state = new()
    tell(state, fault(xid=48))
    again = unpack(pack(state))
    incident = only(tell(again, fault(xid=48), seq=1))
    assert incident.evidence["faults"] == {"xid 48": 2}
