"""The callback in a real Trainer, on a tiny model, against a collector that keeps all it is sent."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

import trimtab
from trimtab import wire
from trimtab.integrations.transformers import TrimtabCallback, register
from trimtab.testing import RecordingCollector
from trimtab.vocabulary import Command

VOCABULARY = 32
STEPS = 50


def measured(collector: RecordingCollector, metric: str) -> dict[int, float]:
    """Return what was measured of a metric, by step."""
    pairs = zip(collector.rows(), collector.column(metric), strict=True)
    return {step: value for step, value in pairs if wire.is_measured(value)}


def phases(collector: RecordingCollector) -> list[str]:
    return [event["phase"] for event in collector.events("phase")]


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingCollector]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are tiny
    with RecordingCollector().running() as collector:
        monkeypatch.setenv("TRIMTAB_URL", collector.url)
        monkeypatch.setenv("TRIMTAB_DIR", str(tmp_path / "trimtab"))
        yield collector
    torch.set_num_threads(threads)


class Text(Dataset[dict[str, Tensor]]):
    def __init__(self, rows: int) -> None:
        generator = torch.Generator().manual_seed(3)
        self._tokens = torch.randint(VOCABULARY, (rows, 8), generator=generator)

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self._tokens[index], "labels": self._tokens[index]}


class Noted(TrainerCallback):
    """What the Trainer itself logs at every step, where its filter does not hide it."""

    def __init__(self) -> None:
        self.logs: dict[int, dict[str, float]] = {}

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if "loss" in kwargs["logs"]:
            self.logs[state.global_step] = kwargs["logs"]

    def column(self, name: str) -> dict[int, float]:
        return {step: logs[name] for step, logs in self.logs.items()}


def tiny_model() -> LlamaForCausalLM:
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8,
    )
    return LlamaForCausalLM(config)


class Untold(LlamaConfig):  # type: ignore[no-untyped-call]
    """A config of the job's own, with something in it that cannot be written down."""

    def to_diff_dict(self) -> dict[str, Any]:
        raise ValueError("the job's own")


MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(tmp_path: Path) -> MakeTrainer:
    def make(*callbacks: TrainerCallback, kind: type[Trainer] = Trainer, **arguments: Any) -> Trainer:
        given: dict[str, Any] = {
            "output_dir": str(tmp_path / "out"),
            "max_steps": 6,
            "per_device_train_batch_size": 2,
            "learning_rate": 1e-2,
            "warmup_steps": 3,
            "max_grad_norm": 0.5,
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "seed": 7,
        }
        return kind(
            model=tiny_model(),
            args=TrainingArguments(**{**given, **arguments}),
            train_dataset=Text(64),
            eval_dataset=Text(4),
            callbacks=list(callbacks),
        )

    return make


def test_the_trainer_ends_where_the_owners_budget_is_used_up(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    collector.commands = [Command(id="c", kind="stop", budget="kwh")]
    callback = TrimtabCallback(project="tiny", budget=trimtab.Budget(kwh=1, stop=True))
    trainer = make_trainer(callback, max_steps=100_000)
    trainer.train()
    assert trainer.state.global_step < 100_000
    assert [event["outcome"] for event in collector.events("command_applied")] == ["applied"]
    (registration,) = collector.registrations.values()
    assert registration["budget"] == {"kwh": 1.0, "stop": True}


class NotingTrainer(Trainer):
    """Notes by itself the loss of each step, and the norm of the gradients that its micro-steps have left."""

    losses: dict[int, float]
    norms: dict[int, float]

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss: Tensor = super().training_step(*args, **kwargs)
        step = self.state.global_step + 1
        self.losses[step] = self.losses.get(step, 0.0) + float(loss)
        assert self.model is not None
        gradients = [each.grad.double() for each in self.model.parameters() if each.grad is not None]
        self.norms[step] = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
        return loss


@pytest.mark.parametrize("micro_steps", [1, 3])
@pytest.mark.parametrize("max_grad_norm", [0.05, 0.0])
def test_every_step_is_one_row_with_the_values_that_the_trainer_has(
    collector: RecordingCollector, make_trainer: MakeTrainer, micro_steps: int, max_grad_norm: float
) -> None:
    noted = Noted()
    trainer = make_trainer(
        TrimtabCallback(project="tiny"),
        noted,
        kind=NotingTrainer,
        max_steps=STEPS,
        gradient_accumulation_steps=micro_steps,
        max_grad_norm=max_grad_norm,
    )
    assert isinstance(trainer, NotingTrainer)
    trainer.losses, trainer.norms = {}, {}
    trainer.train()
    assert collector.rows() == list(range(1, STEPS + 1))
    assert measured(collector, "loss") == pytest.approx(trainer.losses, rel=1e-5)
    assert measured(collector, "loss") == pytest.approx(noted.column("loss"), rel=1e-5)
    assert measured(collector, "grad_norm") == pytest.approx(trainer.norms, rel=1e-5)
    assert all(norm > 0.05 for norm in trainer.norms.values()), "before clipping"
    warming, falling = [1e-2 * n / 3 for n in range(3)], [1e-2 * (STEPS - n) / 47 for n in range(3, STEPS)]
    rates = dict(enumerate(warming + falling, 1))
    assert measured(collector, "lr") == pytest.approx(rates, rel=1e-9)


def test_logging_seldom_and_averaged_hides_nothing(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    noted = Noted()
    make_trainer(noted).train()
    make_trainer(TrimtabCallback(), logging_steps=500, logging_nan_inf_filter=True).train()
    assert measured(collector, "loss") == pytest.approx(noted.column("loss"), rel=1e-6)


def test_a_nan_that_the_trainers_log_hides_is_seen(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    class Breaking(Trainer):
        def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
            loss: Tensor = super().training_step(*args, **kwargs)
            return loss * math.nan if self.state.global_step == 3 else loss

    noted = Noted()
    make_trainer(TrimtabCallback(), noted, kind=Breaking, logging_nan_inf_filter=True).train()
    assert all(math.isfinite(loss) for loss in noted.column("loss").values())
    assert [step for step, loss in measured(collector, "loss").items() if not math.isfinite(loss)] == [4]


def test_a_loss_of_the_jobs_own_is_the_one_that_is_seen(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    class Doubling(Trainer):
        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            return 2 * super().compute_loss(*args, **kwargs)

    noted = Noted()
    make_trainer(TrimtabCallback(), noted, kind=Doubling).train()
    assert measured(collector, "loss") == pytest.approx(noted.column("loss"), rel=1e-6)
    assert measured(collector, "loss")[1] > 1.5 * math.log(VOCABULARY)


def test_evaluation_is_recorded_and_is_no_training_time(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(TrimtabCallback(), eval_strategy="steps", eval_steps=3)
    trainer.train()
    logged = {
        entry["step"]: entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry
    }
    assert measured(collector, "eval_loss") == pytest.approx(logged)
    assert list(logged) == [3, 6]
    assert list(measured(collector, "loss")) == [1, 2, 3, 4, 5, 6]
    assert list(measured(collector, "step_seconds")) == [2, 3, 4, 5, 6]
    assert phases(collector) == ["eval", "train"] * 2
    assert not any(
        "runtime" in name or "per_second" in name for batch in collector.batches() for name in batch.metrics
    )


def test_several_evaluations_at_once_are_one_phase(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(TrimtabCallback(), eval_strategy="steps", eval_steps=6)
    trainer.eval_dataset = {"near": Text(4), "far": Text(2)}
    trainer.train()
    assert len(measured(collector, "eval_near_loss")) == len(measured(collector, "eval_far_loss")) == 1
    assert phases(collector) == ["eval", "train"]


def test_checkpoints_are_told_with_their_paths(
    collector: RecordingCollector, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    make_trainer(TrimtabCallback(), save_strategy="steps", save_steps=3).train()
    saved = collector.events("checkpoint_saved")
    assert [(event["step"], event["where"]) for event in saved] == [(3, "disk"), (6, "disk")]
    assert [Path(event["path"]) for event in saved] == [tmp_path / "out" / f"checkpoint-{n}" for n in (3, 6)]
    assert all(Path(event["path"]).is_dir() and event["finite"] for event in saved)
    assert phases(collector) == ["checkpoint", "train"] * 2


def test_a_resumed_run_goes_on_with_its_step_numbers(
    collector: RecordingCollector, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    make_trainer(TrimtabCallback(), max_steps=4, save_strategy="steps", save_steps=2).train()
    collector.received.clear()
    trainer = make_trainer(TrimtabCallback(), max_steps=4)
    trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    assert list(measured(collector, "loss")) == [3, 4]


def test_tokens_are_those_of_the_step_where_the_trainer_counts_them(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    make_trainer(
        TrimtabCallback(), include_num_input_tokens_seen="all", gradient_accumulation_steps=2
    ).train()
    assert measured(collector, "tokens") == dict.fromkeys(range(1, 7), 2.0 * 2 * 8)


def test_the_run_is_described_by_what_the_trainer_knows(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(TrimtabCallback(project="tiny", tokens_per_step=16), run_name="first try")
    trainer.train()
    (registration,) = collector.registrations.values()
    assert (registration["project"], registration["name"]) == ("tiny", "first try")
    assert (registration["total_steps"], registration["tokens_per_step"]) == (6, 16)
    assert registration["parameters"] == sum(parameter.numel() for parameter in tiny_model().parameters())
    assert registration["config"]["training_arguments"]["learning_rate"] == 1e-2
    assert registration["config"]["model"]["hidden_size"] == 16


def test_each_train_is_a_run_and_leaves_the_trainer_as_it_was(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(TrimtabCallback(), max_steps=2)
    for _ in range(2):
        trainer.train()
        assert not {"training_step", "_get_grad_norm", "evaluate", "_save_checkpoint"} & set(vars(trainer))
    assert len(collector.registrations) == 2
    assert [event["status"] for event in collector.events("run_end")] == ["finished"] * 2


class Failing(Trainer):
    """Fails once, in its second step."""

    failed = False

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        if not self.failed and self.state.global_step == 1:
            self.failed = True
            raise RuntimeError("CUDA out of memory.")
        loss: Tensor = super().training_step(*args, **kwargs)
        return loss


def statuses(collector: RecordingCollector) -> list[tuple[str, str | None]]:
    return [(event["status"], event.get("reason")) for event in collector.events("run_end")]


OUT_OF_MEMORY = ("failed", "RuntimeError: CUDA out of memory.")


def test_a_train_that_fails_ends_its_run_and_the_next_is_another(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(TrimtabCallback(), kind=Failing, max_steps=3)
    with pytest.raises(RuntimeError, match="out of memory"):
        trainer.train()
    assert statuses(collector) == [OUT_OF_MEMORY]
    assert "training_step" not in vars(trainer)
    trainer.train()
    assert collector.rows() == [1, 1, 2, 3]
    assert statuses(collector) == [OUT_OF_MEMORY, ("finished", None)]


def test_a_batch_size_that_was_too_large_is_a_run_that_failed(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    make_trainer(TrimtabCallback(), kind=Failing, max_steps=3, auto_find_batch_size=True).train()
    assert statuses(collector) == [OUT_OF_MEMORY, ("finished", None)]
    assert collector.rows() == [1, 1, 2, 3]


def test_a_checkpoint_that_cannot_be_written_ends_the_run(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    class Full(Trainer):
        def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
            raise OSError("no space left")

    trainer = make_trainer(TrimtabCallback(), kind=Full, save_strategy="steps", save_steps=2)
    with pytest.raises(OSError, match="no space left"):
        trainer.train()
    assert statuses(collector) == [("failed", "OSError: no space left")]


def test_what_the_job_logs_besides_is_recorded(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    class Rewarded(Trainer):
        """Adds its own to what is logged, as trainers of preferences do."""

        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
            super().log({**logs, "rewards/mean": 0.5 * self.state.global_step}, *args, **kwargs)

    make_trainer(TrimtabCallback(), kind=Rewarded, logging_steps=2, max_steps=5).train()
    assert measured(collector, "rewards/mean") == {2: 1.0, 4: 2.0, 5: 2.5}
    names = {name for batch in collector.batches() for name in batch.metrics}
    assert names == {"loss", "grad_norm", "lr", "step_seconds", "rewards/mean"}


def test_report_to_is_enough(
    collector: RecordingCollector, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_PROJECT", "by name")
    monkeypatch.setenv("TRIMTAB_NAME", "of the environment")
    noted = Noted()
    for name in ("of the arguments", None):
        make_trainer(noted, report_to="trimtab", run_name=name, max_steps=3).train()
    names = [(each["project"], each["name"]) for each in collector.registrations.values()]
    assert names == [("by name", "of the arguments"), ("by name", "of the environment")]
    assert collector.rows() == [1, 2, 3] * 2
    assert measured(collector, "loss") == pytest.approx(noted.column("loss"), rel=1e-5)


def test_of_several_callbacks_the_jobs_own_watches(
    collector: RecordingCollector, make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(TrimtabCallback(project="own"), report_to=["trimtab"], max_steps=3)
    trainer.train()
    assert [each["project"] for each in collector.registrations.values()] == ["own"]
    assert collector.rows() == [1, 2, 3]


def test_without_the_dict_of_names_it_is_told_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    assert not register(SimpleNamespace())
    assert "report_to='trimtab' is not known to it: use Trainer(callbacks=" in caplog.text


def test_a_name_too_long_for_a_run_is_cut(collector: RecordingCollector, make_trainer: MakeTrainer) -> None:
    make_trainer(TrimtabCallback(), max_steps=1, run_name="n" * 300).train()
    (registration,) = collector.registrations.values()
    assert registration["name"] == "n" * 200


def test_a_config_that_cannot_be_told_costs_no_more_than_itself(
    collector: RecordingCollector, make_trainer: MakeTrainer, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = make_trainer(TrimtabCallback(), max_steps=2)
    assert isinstance(trainer.model, LlamaForCausalLM)
    trainer.model.config = Untold(**trainer.model.config.to_dict())
    trainer.train()
    assert caplog.text.count("the run's config: the job's own") == 1
    (registration,) = collector.registrations.values()
    assert "config" not in registration
    assert registration["total_steps"] == 2
    assert measured(collector, "grad_norm").keys() == {1, 2}


def test_going_back_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="rollback: 'auto': the Trainer's loop cannot go back"):
        TrimtabCallback(rollback="auto")


def test_without_a_trainer_it_is_told_that_no_loss_is_seen(
    collector: RecordingCollector, make_trainer: MakeTrainer, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = make_trainer()
    callback = TrimtabCallback()
    callback.on_train_begin(trainer.args, trainer.state, trainer.control, model=trainer.model)
    callback.on_train_end(trainer.args, trainer.state, trainer.control)
    assert "not called by a transformers Trainer: no loss is seen" in caplog.text


def test_every_rank_is_watched_in_one_run(collector: RecordingCollector, tmp_path: Path) -> None:
    script = Path(__file__).with_name("trainer_rank.py")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*launcher, script, str(tmp_path / "out")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=240,
        capture_output=True,
    )
    assert len(collector.registrations) == 1
    steps = {rank: [step for batch in collector.batches(rank=rank) for step in batch.step] for rank in (0, 1)}
    assert steps == {0: [1, 2, 3, 3], 1: [1, 2, 3]}, "the evaluation is told by the first rank"
    norms = [
        [norm for batch in collector.batches(rank=rank) for norm in batch.metrics.get("grad_norm", [])]
        for rank in (0, 1)
    ]
    assert norms[0][:3] == norms[1][:3], "of the gradients over all ranks"
    hosts = {rank: [d for batch in collector.batches(rank=rank) for d in batch.devices] for rank in (0, 1)}
    assert bool(hosts[0]) != bool(hosts[1]), "one rank reads the sensors of the host"
