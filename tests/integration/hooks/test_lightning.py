"""The callback in a real Lightning Trainer, on a tiny model; a collector keeps all that it is sent."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import pytorch_lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import trimtab
from trimtab import wire
from trimtab.integrations import automatic
from trimtab.integrations.lightning import TrimtabCallback
from trimtab.testing import RecordingCollector
from trimtab.vocabulary import Command

STEPS = 50
BATCHES = 32

pytestmark = pytest.mark.filterwarnings(
    "ignore:The '(train|val)_dataloader' does not have many workers",
    "ignore:.isinstance.treespec, LeafSpec.. is deprecated",
    "ignore:Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",
    "ignore:You're resuming from a checkpoint that ended before the epoch ended",
)


def measured(collector: RecordingCollector, metric: str) -> dict[int, float]:
    """Return what was measured of a metric, by step."""
    pairs = zip(collector.rows(), collector.column(metric), strict=True)
    return {step: value for step, value in pairs if wire.is_measured(value)}


def statuses(collector: RecordingCollector) -> list[tuple[str, str | None]]:
    return [(event["status"], event.get("reason")) for event in collector.events("run_end")]


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingCollector]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are tiny
    with RecordingCollector().running() as collector:
        monkeypatch.setenv("TRIMTAB_URL", collector.url)
        monkeypatch.setenv("TRIMTAB_DIR", str(tmp_path / "trimtab"))
        yield collector
    torch.set_num_threads(threads)


def rows(batches: int) -> DataLoader[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(4 * batches, 6, generator=generator)
    return DataLoader(TensorDataset(features, features.sum(1, keepdim=True)), batch_size=4)


def norm_of(optimizer: torch.optim.Optimizer) -> float:
    """Compute the norm of an optimizer's gradients in another way than the hooks do."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    squares = [float((each.grad.double() ** 2).sum()) for each in parameters if each.grad is not None]
    return math.sqrt(sum(squares))


class Noting:
    """A model that notes by itself what happens to it."""

    fails_at = breaks_at = -1

    def __init__(self, **hparams: Any) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.save_hyperparameters(hparams)  # type: ignore[attr-defined]
        self.net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.rates: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        if len(self.losses) == self.fails_at:
            raise RuntimeError("out of memory")
        loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
        if len(self.losses) == self.breaks_at:
            loss = loss * math.nan
        self.losses.append(float(loss.detach()))
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.norms.append(norm_of(optimizer))
        self.rates.append(optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class Tiny(Noting, pl.LightningModule):
    pass


class Validated(Tiny):
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val_loss", torch.nn.functional.mse_loss(self.net(batch[0]), batch[1]))
        self.log("val/rows", float(len(batch[0])))


class TinyOfTheOtherName(Noting, pytorch_lightning.LightningModule):
    pass


MakeTrainer = Callable[..., pl.Trainer]


@pytest.fixture
def make_trainer(tmp_path: Path) -> MakeTrainer:
    def make(*callbacks: pl.Callback, package: Any = pl, **arguments: Any) -> pl.Trainer:
        given: dict[str, Any] = {
            "default_root_dir": str(tmp_path),
            "max_steps": STEPS,
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": any(isinstance(each, ModelCheckpoint) for each in callbacks),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
        }
        trainer: pl.Trainer = package.Trainer(callbacks=list(callbacks), **{**given, **arguments})
        return trainer

    return make


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("batches_a_step", [1, 3])
def test_every_step_is_one_row_with_what_the_model_has_noted(
    collector: RecordingCollector, make_trainer: MakeTrainer, batches_a_step: int, clip: float | None
) -> None:
    model = Tiny()
    make_trainer(
        TrimtabCallback(project="tiny"), gradient_clip_val=clip, accumulate_grad_batches=batches_a_step
    ).fit(model, rows(BATCHES))
    steps = range(1, STEPS + 1)
    assert collector.rows() == list(steps)
    assert measured(collector, "loss") == pytest.approx(
        dict(zip(steps, means(model.losses, batches_a_step), strict=True)), rel=1e-5
    )
    assert measured(collector, "grad_norm") == pytest.approx(
        dict(zip(steps, model.norms, strict=True)), rel=1e-5
    )
    assert max(model.norms) > 0.05, "before clipping"
    assert measured(collector, "lr") == pytest.approx(dict(zip(steps, model.rates, strict=True)))
    assert measured(collector, "lr")[4] == pytest.approx(0.05 / 4)
    assert statuses(collector) == [("finished", None)]


def means(losses: list[float], batches_a_step: int) -> list[float]:
    """Return the mean loss of each step; the last step of an epoch has the batches that are left."""
    found: list[float] = []
    for first in range(0, len(losses), BATCHES):
        epoch = losses[first : first + BATCHES]
        for begin in range(0, len(epoch), batches_a_step):
            step = epoch[begin : begin + batches_a_step]
            found.append(sum(step) / len(step))
    return found


def test_the_trainer_ends_where_the_owners_budget_is_used_up(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    collector.commands = [Command(id="c", kind="stop", budget="kwh")]
    callback = TrimtabCallback(project="tiny", budget=trimtab.Budget(kwh=1, stop=True))
    trainer = make_trainer(callback, max_steps=100_000)
    trainer.fit(Tiny(), rows(STEPS))
    assert trainer.global_step < 100_000
    assert [event["outcome"] for event in collector.events("command_applied")] == ["applied"]


def test_a_nan_is_seen_at_its_step(collector: RecordingCollector, make_trainer: MakeTrainer) -> None:
    model = Tiny()
    model.breaks_at = 6
    make_trainer(TrimtabCallback(), max_steps=7).fit(model, rows(BATCHES))
    losses, norms = measured(collector, "loss"), measured(collector, "grad_norm")
    assert [step for step, loss in losses.items() if math.isnan(loss)] == [7]
    assert [step for step, norm in norms.items() if math.isnan(norm)] == [7]


def test_a_validation_is_recorded_and_is_no_training_time(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(
        TrimtabCallback(), max_steps=12, val_check_interval=4, num_sanity_val_steps=2, log_every_n_steps=1
    )
    model = Validated()
    noted: dict[int, float] = {}
    model.on_validation_end = lambda: noted.update(  # type: ignore[method-assign]
        {trainer.global_step: float(trainer.callback_metrics["val_loss"])}
    )
    trainer.fit(model, rows(12), rows(2))
    del noted[0]  # of the sanity check
    assert list(noted) == [4, 8, 12]
    assert measured(collector, "eval_loss") == pytest.approx(noted)
    assert measured(collector, "val/rows") == {4: 4.0, 8: 4.0, 12: 4.0}
    assert [event["phase"] for event in collector.events("phase")] == ["eval", "train"] * 3
    assert list(measured(collector, "loss")) == list(range(1, 13))


def test_checkpoints_that_a_run_can_be_resumed_from_are_told(
    collector: RecordingCollector, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    whole = ModelCheckpoint(tmp_path / "whole", every_n_train_steps=3, save_top_k=-1)
    weights = ModelCheckpoint(
        tmp_path / "weights", every_n_train_steps=2, save_top_k=-1, save_weights_only=True
    )
    trainer = make_trainer(TrimtabCallback(), whole, weights, max_steps=6)
    trainer.fit(Tiny(), rows(BATCHES))
    assert "save_checkpoint" not in vars(trainer), "left as it was"
    saved = collector.events("checkpoint_saved")
    assert [(event["step"], event["where"], event["finite"]) for event in saved] == [
        (3, "disk", True),
        (6, "disk", True),
    ]
    assert [Path(event["path"]).parent for event in saved] == [tmp_path / "whole"] * 2
    assert all(Path(event["path"]).is_file() for event in saved)
    assert "checkpoint" in {event["phase"] for event in collector.events("phase")}

    collector.received.clear()
    resumed = make_trainer(TrimtabCallback(), max_steps=6)
    resumed.fit(Tiny(), rows(BATCHES), ckpt_path=saved[0]["path"], weights_only=False)
    assert collector.rows() == [4, 5, 6]


class TwoOptimizers(pl.LightningModule):
    """Steps its optimizers by hand, and clips the gradients of the first."""

    automatic_optimization = False

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        torch.manual_seed(5)
        self.nets = torch.nn.ModuleList(torch.nn.Linear(6, 1) for _ in range(2))
        self.norms: list[float] = []
        self.losses: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        total = torch.zeros(())
        squares = 0.0
        for net, optimizer in zip(self.nets, self.optimizers(), strict=True):
            loss = torch.nn.functional.mse_loss(net(batch[0]), batch[1])
            optimizer.zero_grad()
            self.manual_backward(loss)
            squares += norm_of(optimizer) ** 2
            if net is self.nets[0]:
                self.clip_gradients(optimizer, gradient_clip_val=0.01, gradient_clip_algorithm="norm")
            optimizer.step()
            total = total + loss.detach()
        self.norms.append(math.sqrt(squares))
        self.losses.append(float(total))
        return total

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(net.parameters(), lr=0.01) for net in self.nets]


def test_optimizers_that_the_model_steps_by_hand_are_one_row_a_batch(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    model = TwoOptimizers()
    make_trainer(TrimtabCallback(), max_steps=2 * STEPS).fit(model, rows(BATCHES))
    steps = range(2, 2 * STEPS + 1, 2)
    assert collector.rows() == list(steps), "as Lightning counts"
    assert measured(collector, "loss") == pytest.approx(dict(zip(steps, model.losses, strict=True)))
    assert measured(collector, "grad_norm") == pytest.approx(
        dict(zip(steps, model.norms, strict=True)), rel=1e-5
    )
    (registration,) = collector.registrations.values()
    assert registration["total_steps"] == 2 * STEPS


def test_the_factor_of_mixed_precision_is_not_in_the_norm(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    model = Tiny()
    make_trainer(
        TrimtabCallback(),
        max_steps=8,
        gradient_clip_val=0.05,
        plugins=[MixedPrecision("16-mixed", "cpu", scaler)],
    ).fit(model, rows(BATCHES))
    assert list(measured(collector, "grad_norm").values()) == pytest.approx(model.norms, rel=1e-5)
    assert 0.05 < max(model.norms) < 100
    assert measured(collector, "loss_scale") == dict.fromkeys(range(1, 9), 1024.0)


def test_the_run_is_described_by_what_the_trainer_knows(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    callback = TrimtabCallback(project="tiny", name="first", count_tokens=lambda batch: batch[0].numel())
    make_trainer(callback, max_steps=-1, max_epochs=2, accumulate_grad_batches=2).fit(Tiny(width=8), rows(4))
    (registration,) = collector.registrations.values()
    assert (registration["project"], registration["name"]) == ("tiny", "first")
    assert (registration["total_steps"], registration["parameters"]) == (4, 65)
    assert registration["config"]["hparams"] == {"width": 8}
    assert registration["config"]["trainer"]["accumulate_grad_batches"] == 2
    assert measured(collector, "tokens") == dict.fromkeys(range(1, 5), 2.0 * 4 * 6)


def test_tokens_that_cannot_be_counted_cost_nothing_else(
    collector: RecordingCollector, make_trainer: MakeTrainer, caplog: pytest.LogCaptureFixture
) -> None:
    callback = TrimtabCallback(count_tokens=lambda batch: batch["input_ids"].numel())
    make_trainer(callback, max_steps=3).fit(Tiny(), rows(BATCHES))
    assert list(measured(collector, "loss")) == [1, 2, 3]
    told = [record.message for record in caplog.records if record.name == "trimtab"]
    assert len(told) == 1, "once"
    assert told[0].startswith("trimtab: count_tokens: list indices must be integers")


def test_an_error_ends_the_run_and_the_next_fit_is_another(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    model, trainer = Tiny(), make_trainer(TrimtabCallback(), max_steps=5)
    model.fails_at = 3
    with pytest.raises(RuntimeError, match="out of memory"):
        trainer.fit(model, rows(BATCHES))
    assert statuses(collector) == [("failed", "RuntimeError: out of memory")]
    collector.received.clear()
    model.fails_at = -1
    trainer.fit(model, rows(BATCHES))
    assert collector.rows() == [4, 5]
    assert statuses(collector) == [("finished", None)]
    assert len(collector.registrations) == 2


def test_going_back_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match=r"rollback: 'auto': .* restart it with fit\(ckpt_path"):
        TrimtabCallback(rollback="auto")


PACKAGES = pytest.mark.parametrize(
    ("package", "model_class"), [(pl, Tiny), (pytorch_lightning, TinyOfTheOtherName)]
)


@PACKAGES
def test_with_the_variable_a_trainer_is_watched_with_no_line_of_code(
    collector: RecordingCollector,
    make_trainer: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
    package: Any,
    model_class: type[Any],
) -> None:
    make_trainer(package=package, max_steps=2).fit(model_class(), rows(BATCHES))
    assert not collector.registrations
    monkeypatch.setenv("TRIMTAB_AUTO", "1")
    monkeypatch.setenv("TRIMTAB_PROJECT", "by itself")
    model = model_class()
    make_trainer(package=package).fit(model, rows(BATCHES))
    (registration,) = collector.registrations.values()
    assert registration["project"] == "by itself"
    assert list(measured(collector, "loss").values()) == pytest.approx(model.losses, rel=1e-5)
    assert list(measured(collector, "grad_norm").values()) == pytest.approx(model.norms, rel=1e-5)
    assert len(model.losses) == STEPS


@PACKAGES
def test_the_jobs_own_callback_comes_before_that_of_the_variable(
    collector: RecordingCollector,
    make_trainer: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
    package: Any,
    model_class: type[Any],
) -> None:
    monkeypatch.setenv("TRIMTAB_AUTO", "1")
    make_trainer(TrimtabCallback(project="own"), package=package, max_steps=3).fit(
        model_class(), rows(BATCHES)
    )
    assert [each["project"] for each in collector.registrations.values()] == ["own"]
    assert collector.rows() == [1, 2, 3]


def test_a_variable_that_says_neither_yes_nor_no_is_told(
    monkeypatch: pytest.MonkeyPatch, make_trainer: MakeTrainer
) -> None:
    monkeypatch.setenv("TRIMTAB_AUTO", "perhaps")
    with pytest.raises(ValueError, match="TRIMTAB_AUTO: 'perhaps': give 1"):
        make_trainer()


def test_without_the_variable_the_entry_point_imports_nothing_heavy() -> None:
    code = (
        "import sys; from trimtab.integrations import automatic; "
        "assert automatic.lightning() == automatic.pytorch_lightning() == []; "
        "print({'torch', 'lightning', 'msgspec', 'trimtab.start'} & set(sys.modules))"
    )
    environ = {name: value for name, value in os.environ.items() if name != "TRIMTAB_AUTO"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"


def test_a_callback_goes_to_another_process_as_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_AUTO", "1")
    for callback in (TrimtabCallback(project="tiny"), *automatic.pytorch_lightning()):
        again = pickle.loads(pickle.dumps(callback))
        assert (type(again), again.automatic) == (type(callback), callback.automatic)
        assert again._arguments == callback._arguments


def test_every_rank_is_watched_in_one_run(collector: RecordingCollector, tmp_path: Path) -> None:
    script = Path(__file__).with_name("lightning_rank.py")
    subprocess.run(
        [sys.executable, script, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=240,
        capture_output=True,
    )
    assert len(collector.registrations) == 1
    steps = {rank: [step for batch in collector.batches(rank=rank) for step in batch.step] for rank in (0, 1)}
    assert steps == {0: [1, 2, 3, 3], 1: [1, 2, 3]}, "the validation is told by the first rank"
    norms = [
        [norm for batch in collector.batches(rank=rank) for norm in batch.metrics.get("grad_norm", [])]
        for rank in (0, 1)
    ]
    assert norms[0][:3] == norms[1][:3], "of the gradients over all ranks"
