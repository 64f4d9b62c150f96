"""The tracker in a real Accelerate loop, against a collector that keeps all it is sent."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import trimtab.integrations.accelerate as _  # noqa: F401
from trimtab import wire
from trimtab.integrations.accelerate import TrimtabTracker
from trimtab.testing import RecordingCollector

STEPS = 60
Told = dict[int, float]


def measured(collector: RecordingCollector, metric: str, rank: int = 0) -> Told:
    """Return what was measured of a metric on a rank, by step."""
    pairs = (
        pair
        for batch in collector.batches(rank=rank)
        for pair in zip(batch.step, batch.metrics.get(metric, ()), strict=False)
    )
    return {step: value for step, value in pairs if wire.is_measured(value)}


@pytest.fixture
def collector(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingCollector]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are tiny
    with RecordingCollector().running() as collector:
        monkeypatch.setenv("TRIMTAB_URL", collector.url)
        yield collector
    torch.set_num_threads(threads)


class Loop:
    """A loop as people write it, which notes each step's values by other means than the tracker's."""

    def __init__(self, micro_steps: int = 1, **init: Any) -> None:
        torch.manual_seed(3)
        self.accelerator = Accelerator(cpu=True, log_with="trimtab", gradient_accumulation_steps=micro_steps)
        model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.99**step)
        inputs = torch.randn(4 * STEPS * micro_steps, 6)
        batches = DataLoader(TensorDataset(inputs, inputs.square().sum(1, keepdim=True)), batch_size=4)
        self.accelerator.init_trackers("tiny", {"width": 16}, init_kwargs={"trimtab": init})
        self.model, self.optimizer, self.scheduler, self.batches = self.accelerator.prepare(
            model, optimizer, scheduler, batches
        )
        self.micro_steps = micro_steps
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.rates: list[float] = []

    def run(self, clip: float | None = 0.1, poison: int = 0, log: bool = False) -> TrimtabTracker:
        """Train; the loss of optimizer step `poison` is NaN. Returns the tracker, before the end."""
        for number, (inputs, labels) in enumerate(self.batches):
            with self.accelerator.accumulate(self.model):
                loss: Tensor = nn.functional.mse_loss(self.model(inputs), labels)
                if poison and number // self.micro_steps + 1 == poison:
                    loss = loss * math.nan
                self.losses.append(float(loss.detach()))
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self._note()
                    if clip is not None:
                        self.accelerator.clip_grad_norm_(self.model.parameters(), clip)
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
            if log:
                self.accelerator.log({"loss": loss, "accuracy": loss.detach() / 2, "note": "a"}, step=number)
        tracker: TrimtabTracker = self.accelerator.get_tracker("trimtab")
        return tracker

    def _note(self) -> None:
        gradients = [parameter.grad for parameter in self.model.parameters()]
        self.norms.append(math.sqrt(sum(float(g.double().square().sum()) for g in gradients)))
        self.rates.append(self.optimizer.param_groups[0]["lr"])

    def step_losses(self) -> list[float]:
        chunks = range(0, len(self.losses), self.micro_steps)
        return [sum(self.losses[at : at + self.micro_steps]) / self.micro_steps for at in chunks]


def by_step(values: list[float], first: int = 1) -> Any:
    return pytest.approx(dict(enumerate(values, first)), rel=1e-5, nan_ok=True)


@pytest.mark.parametrize("micro_steps", [1, 3])
@pytest.mark.parametrize("clip", [0.1, None])
def test_every_step_is_one_row_with_values_of_the_loop(
    collector: RecordingCollector, micro_steps: int, clip: float | None
) -> None:
    loop = Loop(micro_steps)
    loop.run(clip)
    loop.accelerator.end_training()
    assert len(loop.norms) == STEPS
    assert measured(collector, "loss") == by_step(loop.step_losses())
    assert measured(collector, "grad_norm") == by_step(loop.norms)
    assert measured(collector, "lr") == by_step(loop.rates)
    assert collector.rows() == list(range(1, STEPS + 1))
    assert [event["status"] for event in collector.events("run_end")] == ["finished"]


def test_a_nan_is_seen_at_its_step(collector: RecordingCollector) -> None:
    loop = Loop()
    loop.run(poison=STEPS)
    loop.accelerator.end_training()
    assert [step for step, loss in measured(collector, "loss").items() if math.isnan(loss)] == [STEPS]


def test_what_the_loop_logs_is_beside_the_step_and_the_loss_is_not_told_twice(
    collector: RecordingCollector,
) -> None:
    loop = Loop()
    loop.run(log=True)
    loop.accelerator.log({"eval_loss": 0.5, "loss": 99.0}, step=0)
    loop.accelerator.end_training()
    assert measured(collector, "accuracy") == by_step([loss / 2 for loss in loop.losses])
    assert measured(collector, "loss") == by_step(loop.step_losses())
    assert measured(collector, "eval_loss") == {STEPS: 0.5}
    assert {batch.attempt for batch in collector.batches()} == {0}, "steps that are epochs go back nowhere"
    assert collector.events("samples_dropped") == []


def test_what_is_logged_before_the_optimizers_step_belongs_to_it(collector: RecordingCollector) -> None:
    loop = Loop(micro_steps=2)
    seen = []
    for number, (inputs, labels) in enumerate(loop.batches):
        with loop.accelerator.accumulate(loop.model):
            loss = nn.functional.mse_loss(loop.model(inputs), labels)
            loop.accelerator.backward(loss)
            if loop.accelerator.sync_gradients:
                loop.accelerator.log({"number": number, "step": 7})
                seen.append(float(number))
            loop.optimizer.step()
            loop.optimizer.zero_grad()
    loop.accelerator.end_training()
    assert measured(collector, "number") == by_step(seen)
    assert collector.rows() == list(range(1, STEPS + 1))


def test_a_loop_that_uses_nothing_else_of_accelerate_has_a_step_a_log(
    collector: RecordingCollector,
) -> None:
    accelerator = Accelerator(cpu=True, log_with="trimtab")
    accelerator.init_trackers("bare")
    for step in range(1, STEPS + 1):
        accelerator.log({"loss": torch.tensor(1.0 / step)}, step=step)
        accelerator.log({"accuracy": 0.5}, step=step)
    accelerator.end_training()
    assert measured(collector, "loss") == by_step([1.0 / step for step in range(1, STEPS + 1)])
    assert list(measured(collector, "accuracy")) == list(range(1, STEPS + 1))


def test_the_run_is_described_and_checkpoints_are_told(collector: RecordingCollector, tmp_path: Path) -> None:
    loop = Loop(done=1000, name="first", total_steps=2000)
    tracker = loop.run()
    assert tracker.tracker is not None
    assert not tracker.stop
    saved = loop.accelerator.save_state(str(tmp_path / "state"))
    loop.accelerator.end_training()
    (registration,) = collector.registrations.values()
    assert (registration["project"], registration["name"]) == ("tiny", "first")
    assert (registration["total_steps"], registration["config"]) == (2000, {"width": 16})
    assert registration["parameters"] == 6 * 16 + 16 + 16 + 1
    assert measured(collector, "loss") == by_step(loop.step_losses(), first=1001)
    (event,) = collector.events("checkpoint_saved")
    assert (event["step"], event["path"], event["finite"]) == (1000 + STEPS, str(saved), True)
    assert [event["phase"] for event in collector.events("phase")] == ["checkpoint", "train"]


def test_the_accelerator_is_left_as_it_was(collector: RecordingCollector) -> None:
    loop = Loop()
    loop.run()
    loop.accelerator.end_training()
    tapped = ("backward", "clip_grad_norm_", "save_state")
    assert not set(tapped) & set(vars(loop.accelerator))
    assert "step" not in vars(loop.optimizer)


def test_a_tracker_without_an_accelerator_says_what_it_cannot_see(caplog: pytest.LogCaptureFixture) -> None:
    TrimtabTracker("p").start()
    assert "only what is logged is seen" in caplog.text


def test_going_back_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="rollback: 'auto': a step ends within optimizer"):
        TrimtabTracker("p", rollback="auto")


RANK = """
import os, torch
import trimtab.integrations.accelerate
from accelerate import Accelerator
accelerator = Accelerator(cpu=True, log_with="trimtab")
accelerator.init_trackers("ranks")
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
torch.manual_seed(accelerator.process_index)
for _ in range(50):
    loss = model(torch.randn(8, 4)).square().mean()
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
accelerator.end_training()
os._exit(0)  # gloo's own threads abort the interpreter's end now and then
"""


def test_two_ranks_are_one_run_each_with_its_own_loss(collector: RecordingCollector, tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    subprocess.run([*launcher, script], env=environ, check=True, timeout=120, capture_output=True)
    assert len(collector.registrations) == 1
    losses = [measured(collector, "loss", rank) for rank in (0, 1)]
    norms = [measured(collector, "grad_norm", rank) for rank in (0, 1)]
    assert list(losses[0]) == list(losses[1]) == list(range(1, 51))
    assert losses[0] != losses[1]
    assert norms[0] == norms[1], "of the gradients over all ranks"
    assert len(norms[0]) == 50
