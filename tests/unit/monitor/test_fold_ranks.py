"""What several ranks and devices make of a run: incidents of speed and of hardware."""

from __future__ import annotations

from array import array
from typing import Any

from trimtab import wire
from trimtab_monitor.entries import BatchReceived, Registration
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState, new_run, pack, unpack
from trimtab_monitor.settings import Settings
from trimtab_monitor.types import Incident

NOW = 1_700_001_000.0
SETTINGS = Settings()


def new(world_size: int) -> RunState:
    return new_run("run", NOW, Registration(project="gpt", world_size=world_size), SETTINGS)


def gpu(number: int, second: int, power_w: float, util: float, temp_c: float) -> wire.Device:
    return wire.Device(
        host=f"node-{number // 4}",
        boot_id="boot",
        uuid=f"GPU-{number}",
        component="gpu",
        name="H100",
        method="power_average",
        time=array("d", [NOW + second]),
        power_w=array("d", [power_w]),
        util=array("d", [util]),
        temp_c=array("d", [temp_c]),
    )


def send(
    state: RunState, second: int, rank: int = 0, devices: tuple[wire.Device, ...] = (), **metrics: float
) -> Effects:
    """One step a second of one rank."""
    batch = wire.Batch(
        rank=rank,
        seq=0,
        step=array("q", [second]),
        time=array("d", [NOW + second]),
        metrics={name: array("d", [value]) for name, value in {"loss": 2.0, **metrics}.items()},
        devices=devices,
    )
    return fold(state, BatchReceived(NOW + second, "run", batch), SETTINGS)


def incidents(all_effects: list[Effects], kind: str) -> list[Incident]:
    last: dict[str, Incident] = {}
    for effects in all_effects:
        last |= effects.incidents
    return [incident for incident in last.values() if incident.kind == kind]


def test_the_rank_that_all_wait_for_is_an_incident_that_names_it() -> None:
    state = new(world_size=4)
    effects = []
    for second in range(1, 200):
        for rank in range(4):
            own = 0.9 if rank == 2 and second > 100 else 0.5
            effects.append(send(state, second, rank, own_seconds=own, step_seconds=1.0))
    (incident,) = incidents(effects, "straggler")
    assert (incident.severity, incident.state) == ("warning", "open")
    assert "rank 2" in incident.summary
    assert "1.8 times" in incident.summary
    assert incident.evidence["ranks"] == [2]


def fleet(state: RunState, first: int, last: int, **odd: Any) -> list[Effects]:
    effects = []
    for second in range(first, last):
        for node in range(2):
            devices = tuple(
                gpu(number, second, **(odd if odd and number == 5 else healthy()))
                for number in range(4 * node, 4 * node + 4)
            )
            effects.append(send(state, second, rank=4 * node, devices=devices))
    return effects


def healthy() -> dict[str, float]:
    return {"power_w": 600.0, "util": 0.95, "temp_c": 60.0}


def test_a_throttled_device_is_an_incident_that_names_it_and_ends_with_it() -> None:
    state = new(world_size=8)
    fleet(state, 1, 120)
    effects = fleet(state, 120, 240, power_w=400.0, util=0.95, temp_c=72.0)
    (incident,) = incidents(effects, "faulty_device")
    assert (incident.severity, incident.state) == ("warning", "open")
    assert "GPU-5 on node-1" in incident.summary
    assert "throttled" in incident.summary
    state = unpack(pack(state))
    (incident,) = incidents(fleet(state, 240, 400), "faulty_device")
    assert incident.state == "resolved"


def test_a_hang_tells_which_rank_and_which_device_to_look_at() -> None:
    state = new(world_size=8)
    fleet(state, 1, 100)
    send(state, 100, rank=0)
    effects = Effects()
    for second in range(101, 420):
        for number in range(8):
            used = 0.0 if number == 5 else 1.0
            reading = gpu(number, second, 300.0, used, 60.0)
            batch = wire.Batch(rank=0, seq=0, devices=[reading])
            effects.merge(fold(state, BatchReceived(NOW + second, "run", batch), SETTINGS))
    (hung,) = incidents([effects], "hung")
    assert "rank 4 stopped at step 99, the others at 100: look there first" in hung.summary
    assert "7 GPUs are busy waiting, GPU-5 on node-1 is idle: look there first" in hung.summary
    assert incidents([effects], "faulty_device") == []


def test_a_device_that_saves_a_checkpoint_for_all_is_not_faulty() -> None:
    state = new(world_size=8)
    fleet(state, 1, 100)
    effects = []
    for second in range(100, 340):
        devices = tuple(
            gpu(number, second, 100.0 if number == 0 else 300.0, 0.0 if number == 0 else 1.0, 60.0)
            for number in range(8)
        )
        batch = wire.Batch(rank=0, seq=0, devices=devices)
        effects.append(fold(state, BatchReceived(NOW + second, "run", batch), SETTINGS))
    effects += fleet(state, 340, 400)
    assert incidents(effects, "faulty_device") == []


def test_what_ranks_made_of_a_step_is_told_of_the_run_and_not_mixed_with_another_attempt() -> None:
    state = new(world_size=2)
    layer: dict[str, Any] = {"grad_norm_sq_shard/a": 9.0}
    send(state, 1, rank=0, loss=1.0, grad_norm_sq_shard=9.0, **layer)
    send(state, 1, rank=1, loss=3.0, grad_norm_sq_shard=16.0)
    told = {"loss/mean": 2.0, "loss/min": 1.0, "loss/max": 3.0, "grad_norm": 5.0, "grad_norm/a": 3.0}
    assert told.items() <= state.latest.items()
    assert "grad_norm_sq_shard/a" not in state.latest
    send(state, 2, rank=0, loss=9.0, grad_norm_sq_shard=1e6)
    again = wire.Batch(
        rank=1,
        seq=0,
        attempt=1,
        step=array("q", [2]),
        time=array("d", [NOW + 9]),
        metrics={"loss": array("d", [2.0]), "grad_norm_sq_shard": array("d", [1.0])},
    )
    fold(state, BatchReceived(NOW + 9, "run", again), SETTINGS)
    assert told.items() <= state.latest.items()
    assert state.losses.waiting.keys() == state.shards.waiting.keys() == {2}
