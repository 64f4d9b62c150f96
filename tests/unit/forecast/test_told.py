"""The forecast as the API and the report tell it, of a run's log."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from trimtab import wire
from trimtab_monitor.entries import BatchReceived, Entry, Registered, Registration, draft_of
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState, new_run
from trimtab_monitor.run_ledger import RunLedgers
from trimtab_monitor.series.reader import SeriesReader
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.memory import MemoryStore

T0 = 1_700_000_000.0
STEPS = 600
WATTS = 360.0
SETTINGS = Settings.model_validate(
    {"energy": {"pue": 1.5, "intensity_g_per_kwh": 100.0, "price_per_kwh": 0.2, "currency": "EUR"}}
)


class Job:
    """A run of a step a second on one device, folded and in a log."""

    def __init__(self, settings: Settings = SETTINGS, **registration: Any) -> None:
        self.settings = settings
        self.store = MemoryStore()
        told = Registration(project="gpt", **registration)
        self.state: RunState = new_run("run", T0, told, settings)
        self._seq = 0
        self.take(Registered(T0, "run", told))

    def take(self, entry: Entry) -> None:
        self.store.log.append(draft_of(entry)).result()
        fold(self.state, entry, self.settings)

    def step(self, steps: int = STEPS, watts: float | None = WATTS, floor: float = 2.0) -> None:
        numbers = range(1, steps + 1)
        times = array("d", [T0 + step for step in numbers])
        device = wire.Device(
            host="node",
            boot_id="boot",
            uuid="GPU-1",
            component="gpu",
            name="H100",
            method="power_average",
            time=array("d", [T0, *times]),
            power_w=array("d", [watts or 0.0] * (steps + 1)),
        )
        batch = wire.Batch(
            rank=0,
            seq=self._seq,
            step=array("q", numbers),
            time=times,
            metrics={wire.LOSS: array("d", [floor + 3.0 * (step / 10.0) ** -0.5 for step in numbers])},
            devices=[] if watts is None else [device],
        )
        self._seq += 1
        self.take(BatchReceived(T0 + steps, "run", batch))

    def told(self, target_loss: float | None = None) -> dict[str, Any]:
        series = SeriesReader(self.store.log, 1 << 20)
        ledgers = RunLedgers(self.store, self.settings, series, lambda: T0 + STEPS)
        body: dict[str, Any] = ledgers.tell(self.state, target_loss)["forecast"]
        return body


def test_energy_emissions_cost_and_time_to_the_last_step() -> None:
    job = Job(total_steps=3 * STEPS)
    job.step()
    told = job.told()
    ahead = told["completion"]
    assert ahead["steps_to_go"] == 2 * STEPS
    assert ahead["seconds"]["expected"] == pytest.approx(1200, rel=0.01)
    assert ahead["ends_at"]["expected"] == pytest.approx(T0 + 1800, abs=12)
    kwh = WATTS * 1200 / 3.6e6 * 1.5
    assert ahead["to_go"]["kwh"]["expected"] == pytest.approx(kwh, rel=0.01)
    assert ahead["to_go"]["emissions_g"]["location"]["expected"] == pytest.approx(kwh * 100, rel=0.01)
    assert ahead["to_go"]["emissions_g"]["market"] is None
    assert ahead["to_go"]["cost"]["expected"] == pytest.approx(kwh * 0.2, rel=0.01)
    assert ahead["total"]["joules"]["expected"] == pytest.approx(WATTS * 1800, rel=0.01)
    assert ahead["total"]["cost"]["expected"] == pytest.approx(1.5 * kwh * 0.2, rel=0.01)


def test_without_a_total_or_energy_or_steps_it_is_null_and_says_why() -> None:
    job = Job()
    job.step()
    told = job.told()
    assert told["completion"] is None
    assert any("total_steps" in note for note in told["notes"])
    job = Job(total_steps=3 * STEPS)
    job.step(watts=None)
    told = job.told()
    assert told["completion"]["to_go"]["joules"] is None
    assert told["completion"]["to_go"]["cost"] is None
    assert told["completion"]["seconds"]["expected"] == pytest.approx(1200, rel=0.01)
    assert any("no energy" in note for note in told["notes"])
    young = Job(total_steps=10)
    young.step(5)
    assert young.told()["completion"] is None
    assert young.told()["loss"] is None


def test_a_run_that_is_over_has_nothing_to_come() -> None:
    job = Job(total_steps=3 * STEPS)
    job.step()
    end = {"kind": "run_end", "time": T0 + STEPS, "status": "finished"}
    job.take(BatchReceived(T0 + STEPS, "run", wire.Batch(rank=0, seq=99, events=[end])))
    told = job.told()
    assert told["completion"] is None
    assert told["loss"]["at_end"] is None
    assert any("over" in note for note in told["notes"])


def test_the_loss_to_come_and_what_a_kwh_brings() -> None:
    job = Job(total_steps=3 * STEPS, tokens_per_step=1000, parameters=100_000, phase="pretraining")
    job.step()
    told = job.told(target_loss=2.25)
    loss = told["loss"]
    assert loss["now"] == pytest.approx(2.39, abs=0.02)
    assert loss["at_end"]["expected"] == pytest.approx(2.0 + 3.0 * 180**-0.5, rel=0.02)
    kwh_a_step = WATTS / 3.6e6 * 1.5
    slope = 0.5 * 3.0 / 10.0 * 60.0**-1.5
    assert loss["per_kwh"]["expected"] == pytest.approx(slope / kwh_a_step, rel=0.1)
    steps = 10.0 * 12.0**2 - STEPS
    assert loss["target"]["kwh"]["expected"] == pytest.approx(steps * kwh_a_step, rel=0.15)
    assert not loss["returns"]["diminish"]
    tokens = told["tokens"]
    assert tokens["per_parameter"] == pytest.approx(6.0)
    assert tokens["per_parameter_at_end"] == pytest.approx(18.0)
    assert tokens["compute_optimal_per_parameter"] == 20.0


def test_returns_that_diminish_are_told_calmly() -> None:
    settings = Settings.model_validate({"forecast": {"least_gain": 0.5}})
    job = Job(settings, total_steps=3 * STEPS, phase="post-training", tokens_per_step=1, parameters=1)
    job.step()
    told = job.told()
    assert told["loss"]["returns"]["diminish"]
    assert any(note.startswith("returns diminish") for note in told["notes"])
    assert not job.state.incidents.open
    assert told["tokens"]["compute_optimal_per_parameter"] is None, "the ratio is one of pretraining"


def test_nobody_is_advised_on_a_plateau_of_the_beginning() -> None:
    settings = Settings.model_validate({"forecast": {"least_gain": 0.5}})
    young = Job(settings, total_steps=10 * STEPS)
    young.step()
    assert young.told()["loss"]["returns"]["advice"] is None
    short = Job(settings, total_steps=450)
    short.step(400)
    assert short.told()["loss"]["returns"]["advice"] is None


def test_a_loss_is_forecast_neither_into_the_past_nor_beyond_any_law() -> None:
    passed = Job(total_steps=STEPS // 2)
    passed.step()
    told = passed.told()["loss"]
    assert told["at_end"]["expected"] == pytest.approx(told["now"], abs=0.02)
    endless = Job(total_steps=10**12)
    endless.step()
    assert endless.told()["loss"]["at_end"] is None
