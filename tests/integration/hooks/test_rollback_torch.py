"""A run that goes back to a snapshot goes on bit for bit as it did the first time."""

from __future__ import annotations

import copy
import itertools
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from trimtab.rewind import rng
from trimtab.rewind.rewind import Rewind
from trimtab.rewind.snapshots import SnapshotError, SnapshotStore
from trimtab.vocabulary import Command

VOCABULARY = 16
PLENTY = 2**40


class Net(nn.Module):
    """Small, with all that has to come back: dropout, running statistics, a loose buffer, tied weights."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 12)
        self.body = nn.Sequential(nn.Linear(12, 12), nn.BatchNorm1d(12), nn.GELU(), nn.Dropout(0.3))
        self.head = nn.Linear(12, VOCABULARY, bias=False)
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(1), persistent=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        self.seen += 1
        hidden = self.body(self.embedding(tokens))
        logits: Tensor = self.head(hidden)
        return logits


@dataclass
class Job:
    """A training run; `step` trains on the batch of that number and returns its loss to the last bit."""

    model: Any
    optimizer: Any
    scheduler: Any = None
    scaler: Any = None
    store: SnapshotStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = SnapshotStore(
            self.model,
            self.optimizer,
            self.scheduler,
            self.scaler,
            every=5,
            keep=3,
            stretch=False,
            available_bytes=lambda: PLENTY,
        )

    def step(self, number: int) -> str:
        generator = torch.Generator().manual_seed(number)
        tokens = torch.randint(VOCABULARY, (32,), generator=generator)
        logits = self.model(tokens).float() * (1 + 0.01 * random.random())
        loss = nn.functional.cross_entropy(logits, (tokens * 5 + 3) % VOCABULARY)
        self.optimizer.zero_grad()
        if self.scaler is None:
            torch.autograd.backward([loss])
            self.optimizer.step()
        else:
            torch.autograd.backward([self.scaler.scale(loss)])
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.scheduler is not None:
            self.scheduler.step()
        return f"{float(loss.detach()).hex()} {self.optimizer.param_groups[0]['lr'].hex()}"

    def run(self, first: int, last: int) -> list[str]:
        losses = []
        for number in range(first, last + 1):
            losses.append(self.step(number))
            self.store.maybe_take(number)
        return losses


def adamw_cosine() -> Job:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)
    return Job(model, optimizer, lr_scheduler.CosineAnnealingLR(optimizer, T_max=60, eta_min=1e-4))


def sgd_two_groups_lambda() -> Job:
    model = Net()
    groups: list[dict[str, Any]] = [
        {"params": [*model.embedding.parameters()], "lr": 0.05, "momentum": 0.5},
        {"params": [*model.body.parameters(), *model.head.parameters()], "nesterov": True},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    return Job(model, optimizer, lr_scheduler.LambdaLR(optimizer, lambda step: 0.97**step))


def one_cycle() -> Job:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return Job(model, optimizer, lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=60))


def warmup_then_cosine() -> Job:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    warmup = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=8)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
    return Job(model, optimizer, lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[8]))


def tied_fused() -> Job:
    model = Net(tied=True)
    return Job(model, torch.optim.AdamW(model.parameters(), lr=0.01, fused=True))


def compiled() -> Job:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return Job(torch.compile(model, backend="eager"), optimizer)


def bfloat16() -> Job:
    model = Net().to(torch.bfloat16)
    return Job(model, torch.optim.AdamW(model.parameters(), lr=0.01))


def scaled() -> Job:
    model = Net()
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=7)
    return Job(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), scaler=scaler)


JOBS = [
    adamw_cosine,
    sgd_two_groups_lambda,
    one_cycle,
    warmup_then_cosine,
    tied_fused,
    compiled,
    bfloat16,
    scaled,
]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    torch.manual_seed(11)
    random.seed(11)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are tiny
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("make", JOBS)
def test_the_steps_after_a_restore_are_the_ones_lived_before(make: Callable[[], Job]) -> None:
    job = make()
    job.run(1, 10)
    first = job.run(11, 24)
    job.store.restore(10)
    assert job.run(11, 24) == first


@pytest.mark.parametrize("make", JOBS)
def test_a_snapshot_can_be_gone_back_to_again(make: Callable[[], Job]) -> None:
    job = make()
    job.run(1, 10)
    first = job.run(11, 14)
    for _ in range(3):
        job.store.restore(10)
        assert job.run(11, 14) == first


@pytest.mark.parametrize("make", [adamw_cosine, sgd_two_groups_lambda, one_cycle, tied_fused])
def test_a_restore_equals_a_fresh_start_from_the_same_state(make: Callable[[], Job]) -> None:
    job = make()
    job.run(1, 10)
    saved = copy.deepcopy(
        {"model": job.model.state_dict(), "seen": job.model.seen, "optimizer": job.optimizer.state_dict(),
         "scheduler": job.scheduler.state_dict() if job.scheduler else None, "rng": rng.capture()}
    )  # fmt: skip
    job.run(11, 17)
    fresh = make()
    fresh.model.load_state_dict(saved["model"])
    fresh.model.seen = saved["seen"]
    fresh.optimizer.load_state_dict(saved["optimizer"])
    if fresh.scheduler:
        fresh.scheduler.load_state_dict(saved["scheduler"])
    rng.restore(saved["rng"])
    expected = fresh.run(11, 20)
    job.store.restore(10)
    assert job.run(11, 20) == expected


def test_parameters_keep_their_identity_and_the_optimizer_its_hold_on_them() -> None:
    job = adamw_cosine()
    job.run(1, 7)
    before = [id(parameter) for parameter in job.model.parameters()]
    job.store.restore(5)
    held = itertools.chain.from_iterable(group["params"] for group in job.optimizer.param_groups)
    assert [id(parameter) for parameter in job.model.parameters()] == before
    assert [id(parameter) for parameter in held] == before
    assert set(map(id, job.optimizer.state)) == set(before)
    assert all(parameter.grad is None for parameter in job.model.parameters())


def test_betas_that_were_changed_since_come_back_too() -> None:
    job = adamw_cosine()
    job.run(1, 5)
    job.optimizer.param_groups[0]["betas"] = (0.0, 0.5)
    job.store.restore(5)
    assert job.optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_32_bit_moments_of_16_bit_parameters_are_not_rounded() -> None:
    parameter = nn.Parameter(torch.zeros(3, dtype=torch.bfloat16))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    exact = torch.tensor([1.0000001, 1 / 3, 1e-30])
    optimizer.state[parameter]["momentum_buffer"] = exact.clone()
    store = SnapshotStore(optimizer=optimizer, every=1, available_bytes=lambda: PLENTY)
    store.maybe_take(1)
    optimizer.state[parameter]["momentum_buffer"].zero_()
    store.restore(1)
    assert torch.equal(optimizer.state[parameter]["momentum_buffer"], exact)


@pytest.mark.parametrize("what", ["model", "optimizer"])
def test_a_model_or_an_optimizer_alone_is_enough_for_the_weights(what: str) -> None:
    model = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    held: dict[str, Any] = {"model": model} if what == "model" else {"optimizer": optimizer}
    store = SnapshotStore(**held, every=1, available_bytes=lambda: PLENTY)
    weights = model.weight.detach().clone()
    store.maybe_take(1)
    nn.init.zeros_(model.weight)
    store.restore(1)
    assert torch.equal(model.weight, weights)


def test_before_the_first_step_of_the_optimizer_there_is_no_state_to_keep() -> None:
    job = adamw_cosine()
    job.store = SnapshotStore(
        job.model, job.optimizer, job.scheduler, every=1, available_bytes=lambda: PLENTY
    )
    job.store.maybe_take(1)
    first = job.run(2, 6)
    job.store.restore(1)
    assert len(job.optimizer.state) == 0
    assert job.run(2, 6) == first


def test_several_models_and_optimizers_go_back_together() -> None:
    models = [nn.Linear(3, 3), nn.Linear(3, 2)]
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.1) for model in models]
    store = SnapshotStore(models, optimizers, every=1, available_bytes=lambda: PLENTY)

    def step() -> list[Tensor]:
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            torch.autograd.backward([model(torch.rand(4, 3)).square().sum()])
            optimizer.step()
        return [model.weight.detach().clone() for model in models]

    step()
    store.maybe_take(1)
    first = step()
    store.restore(1)
    assert all(torch.equal(again, before) for again, before in zip(step(), first, strict=True))


def test_extra_state_of_a_module_comes_back() -> None:
    class Counting(nn.Linear):
        calls = 0

        def get_extra_state(self) -> Any:
            return {"calls": self.calls}

        def set_extra_state(self, state: Any) -> None:
            self.calls = state["calls"]

    counting = Counting(2, 2)
    model = nn.Sequential(counting, nn.Dropout())
    counting.calls = 4
    store = SnapshotStore(model, every=1, available_bytes=lambda: PLENTY)
    store.maybe_take(1)
    counting.calls = 9
    store.restore(1)
    assert counting.calls == 4


@pytest.mark.parametrize("make", [sgd_two_groups_lambda, one_cycle, warmup_then_cosine])
def test_a_cut_rate_lasts_through_the_schedule(make: Callable[[], Job]) -> None:
    job = make()
    job.run(1, 10)
    whole = [_rates_after(job, number) for number in range(11, 31)]
    job.store.restore(10, lr_factor=0.5)
    halved = [_rates_after(job, number) for number in range(11, 31)]
    for rates, expected in zip(halved, whole, strict=True):
        assert rates == pytest.approx([rate / 2 for rate in expected], rel=1e-9)


def _rates_after(job: Job, number: int) -> list[float]:
    job.step(number)
    return [float(group["lr"]) for group in job.optimizer.param_groups]


def test_the_same_factor_twice_on_one_snapshot_is_one_cut() -> None:
    job = adamw_cosine()
    job.run(1, 5)
    for _ in range(2):
        job.store.restore(5, lr_factor=0.5)
        cut = job.optimizer.param_groups[0]["lr"]
    job.store.restore(5)
    assert cut == job.optimizer.param_groups[0]["lr"] / 2


def test_a_restore_that_fails_midway_leaves_everything_as_it_was() -> None:
    refusals: list[Exception] = []

    class Stubborn(lr_scheduler.LambdaLR):
        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            if refusals:
                raise refusals.pop()
            super().load_state_dict(state_dict)

    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = Stubborn(optimizer, lambda step: 0.9**step)
    job = Job(model, optimizer, scheduler)
    job.run(1, 8)
    untouched = copy.deepcopy((model.state_dict(), optimizer.state_dict(), rng.capture()))
    refusals.append(KeyError("last_epoch"))
    with pytest.raises(
        SnapshotError, match=r"step 5: KeyError: 'last_epoch'; the state from before was put back"
    ):
        job.store.restore(5)
    now = (model.state_dict(), optimizer.state_dict(), rng.capture())
    assert all(torch.equal(now[0][name], value) for name, value in untouched[0].items())
    assert str(now[1]) == str(untouched[1])
    assert now[2].python == untouched[2].python
    job.store.restore(5)


def test_a_model_that_has_changed_its_shape_is_refused_before_anything_is_touched() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    store = SnapshotStore(model, every=1, available_bytes=lambda: PLENTY)
    store.maybe_take(1)
    model.append(nn.Linear(3, 3))
    with pytest.raises(SnapshotError, match=r"parameter '1.weight' has shape \(3, 3\) now and had None then"):
        store.restore(1)


def test_a_rewind_brings_a_diverged_run_back(tmp_path: Path) -> None:
    job = adamw_cosine()
    first = job.run(1, 13)
    with torch.no_grad():
        job.model.head.weight.mul_(1e6)
    job.run(14, 16)
    rewind = Rewind(job.store, tmp_path / "spool" / "rollbacks.jsonl", time.time)
    command = Command(id="c1", kind="rollback", to_step=12, reason="loss spike")
    outcome = rewind.apply(command, step=16)
    assert (outcome.applied, outcome.to_step) == (True, 10)
    assert job.run(11, 13) == first[10:]
    entries = [json.loads(line) for line in (tmp_path / "spool" / "rollbacks.jsonl").read_text().splitlines()]
    assert [(entry["phase"], entry["from_step"], entry["to_step"]) for entry in entries] == [
        ("begin", 16, 10),
        ("applied", 16, 10),
    ]


def test_weights_that_are_not_finite_are_never_kept() -> None:
    job = adamw_cosine()
    job.run(1, 9)
    with torch.no_grad():
        job.model.head.weight[0, 0] = math.nan
    job.run(10, 12)
    assert job.store.steps() == [5]
