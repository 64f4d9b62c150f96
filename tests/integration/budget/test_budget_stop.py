"""A budget that is used up is told to a webhook, and stops the job whose owner wants that at a checkpoint."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import trimtab
from trimtab import wire
from trimtab_alerts.testing import Received, Receiver
from trimtab_monitor.settings import Settings
from trimtab_monitor.testing import RunningCollector

SAVE_EVERY = 25
WATTS = 1000.0
DEADLINE_S = 15.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def settings(receiver: Receiver, **budget: object) -> Settings:
    return Settings.model_validate(
        {
            "energy": {"place": "FR", "price_per_kwh": 0.2, "currency": "EUR"},
            "budget": {"every_s": 0.05, **budget},
            "alerts": {"webhooks": [{"name": "hook", "url": receiver.url}]},
        }
    )


def burn(
    url: str, run: str, seq: int, seconds: float, watts: float = WATTS, *, ends: bool = False
) -> list[dict[str, object]]:
    """A simulated device, told by another rank of the run: it draws so much for so long."""
    start = time.time() - 1000.0
    device = wire.Device(
        host="simulated",
        boot_id=f"boot-{run}-{seq}",
        uuid=f"GPU-{run}",
        component="gpu",
        name="NVIDIA H100",
        method="power_average",
        time=array("d", [start + second for second in range(int(seconds) + 1)]),
        power_w=array("d", [watts] * (int(seconds) + 1)),
    )
    end = {"kind": "run_end", "time": start + seconds, "status": "finished"}
    batch = wire.Batch(rank=99, seq=seq, devices=[device], events=[end] if ends else [])
    headers = {"Content-Type": wire.MSGPACK}
    answer = httpx.post(f"{url}/v1/runs/{run}/batches", content=wire.encode(batch), headers=headers)
    assert answer.status_code == 200, answer.text
    commands: list[dict[str, object]] = answer.json()["commands"]
    return commands


def register(url: str, run: str, **told: object) -> None:
    assert httpx.post(f"{url}/v1/runs", json={"run": run, "project": "gpt", **told}).status_code == 200


def told(received: list[Received]) -> list[tuple[str, str]]:
    alerts = [alert for each in received for alert in each.json()["alerts"]]
    return [(alert["labels"]["severity"], alert["status"]) for alert in alerts]


def test_the_job_stops_at_its_next_checkpoint_and_people_are_told_twice(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_DIR", str(tmp_path / "job"))
    with RunningCollector(tmp_path / "collector", settings(receiver)) as collector:
        budget = trimtab.Budget(kwh=1.0, kg=1000.0, stop=True)
        watch = trimtab.watch(project="gpt", url=collector.url, rollback="off", budget=budget)
        saved: list[int] = []
        used_up_at = None
        deadline = time.monotonic() + DEADLINE_S
        with watch:
            while time.monotonic() < deadline:
                result = watch.step(loss=2.0)
                if result.stop:
                    break
                if result.step % SAVE_EVERY == 0:
                    watch.checkpoint_saved("/checkpoints/last")
                    saved.append(result.step)
                if result.step == 2 * SAVE_EVERY:
                    burn(collector.url, watch.run, 0, 0.85 * 3600)
                    assert told(receiver.wait_for(1)) == [("warning", "firing")]
                if result.step == 3 * SAVE_EVERY + 1:
                    burn(collector.url, watch.run, 1, 0.2 * 3600)
                    receiver.wait_for(2)
                    used_up_at = result.step
                time.sleep(0.01)
        assert result.stop
        assert used_up_at is not None
        assert result.step >= 4 * SAVE_EVERY, "not before the checkpoint that comes after"
        assert 4 * SAVE_EVERY in saved
        api = f"{collector.url}/v1/runs/{watch.run}"
        (command,) = httpx.get(f"{api}/commands").json()
        assert (command["kind"], command["state"], command["budget"]) == ("stop", "applied", "kwh")
        received = receiver.wait_for(3)
        assert told(received) == [("warning", "firing"), ("critical", "firing"), ("critical", "resolved")]


def test_a_budget_is_told_once_over_a_restart_and_again_once_it_is_raised(
    receiver: Receiver, tmp_path: Path, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    folder = tmp_path / "collector"
    with RunningCollector(folder, settings(receiver, kwh=1.0)) as collector:
        register(collector.url, "run")
        burn(collector.url, "run", 0, 1.1 * 3600)
        assert told(receiver.wait_for(1)) == [("critical", "firing")]
    with RunningCollector(folder, settings(receiver, kwh=1.0)) as collector:
        burn(collector.url, "run", 1, 60)
        wait_until(lambda: httpx.get(f"{collector.url}/v1/runs/run").json()["ledger"]["joules"] > 4.0e6)
        time.sleep(0.2)
        assert len(receiver.received) == 1
        assert not burn(collector.url, "run", 2, 1), "nobody asked for a stop"
    with RunningCollector(folder, settings(receiver, kwh=2.0)) as collector:
        assert told(receiver.wait_for(2))[1:] == [("critical", "resolved")]
        burn(collector.url, "run", 3, 1.1 * 3600)
        assert told(receiver.wait_for(3))[2:] == [("critical", "firing")]


def test_runs_of_a_project_share_its_budget_phase_by_phase(receiver: Receiver, tmp_path: Path) -> None:
    projects = [
        {"project": "gpt", "phase": "pretraining", "kwh": 2.0},
        {"project": "gpt", "cost": 0.5},
    ]
    with RunningCollector(tmp_path / "collector", settings(receiver, projects=projects)) as collector:
        register(collector.url, "first", phase="pretraining")
        register(collector.url, "second", phase="pretraining")
        register(collector.url, "tuned", phase="post-training")
        register(collector.url, "idle", phase="test-time")
        burn(collector.url, "tuned", 0, 0.5 * 3600)
        burn(collector.url, "first", 0, 1.0 * 3600)
        burn(collector.url, "second", 0, 0.7 * 3600)
        received = receiver.wait_for(2)
        metrics = {alert["labels"]["metric"] for each in received for alert in each.json()["alerts"]}
        assert metrics == {"kwh of gpt, pretraining", "cost of gpt"}
        told_of = httpx.get(f"{collector.url}/v1/projects/gpt").json()
        assert (told_of["runs"], told_of["total"]["runs_without_energy"]) == (4, 1)
        assert told_of["phases"]["pretraining"]["kwh"] == pytest.approx(1.7)
        assert told_of["phases"]["post-training"]["cost"] == pytest.approx(0.1)
        assert told_of["phases"]["test-time"]["kwh"] is None
        assert told_of["total"]["kwh"] == pytest.approx(2.2)
        budgets = {line["name"]: line["ratio"] for line in told_of["budget"]["lines"]}
        assert budgets["kwh of gpt, pretraining"] == pytest.approx(0.85, rel=0.02)


def test_a_run_that_ends_before_anybody_looked_is_told_all_the_same(
    receiver: Receiver, tmp_path: Path, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    with RunningCollector(tmp_path / "collector", settings(receiver, kwh=1.0)) as collector:
        register(collector.url, "run")
        burn(collector.url, "run", 0, 1.5 * 3600, ends=True)
        assert told(receiver.wait_for(2)) == [("critical", "firing"), ("critical", "resolved")]
        assert httpx.get(f"{collector.url}/v1/runs/run").json()["status"] == "finished"
