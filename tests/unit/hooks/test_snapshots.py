"""When snapshots are taken, which are held, and what they may cost."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from trimtab.rewind import host_copy, host_memory
from trimtab.rewind.snapshots import NullSnapshots, SnapshotError, SnapshotStore


class Clock:
    """A clock that a snapshot moves on by `cost` seconds and the test by what it likes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cost = 0.0
        self._asked = 0

    def __call__(self) -> float:
        self._asked += 1
        if self._asked % 3 == 2:  # asked as a snapshot begins, when its copy is made, and at its end
            self.now += self.cost
        return self.now


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the buffers that are made."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.name() == "aten::empty_like"
        return func(*args, **(kwargs or {}))


def weights(value: float = 0.0) -> nn.Linear:
    model = nn.Linear(8, 8)
    nn.init.constant_(model.weight, value)
    return model


def store_of(model: nn.Module, **options: Any) -> SnapshotStore:
    return SnapshotStore(
        model, **{"every": 10, "keep": 2, "stretch": False, "available_bytes": lambda: 2**40, **options}
    )


def offer(store: SnapshotStore, *steps: int) -> None:
    for step in steps:
        store.maybe_take(step)


def test_a_snapshot_is_taken_every_so_many_steps() -> None:
    store = store_of(weights(), keep=9)
    taken = [step for step in range(1, 36) if store.maybe_take(step)]
    assert taken == store.steps() == [10, 20, 30]


def test_a_step_that_was_not_offered_is_made_up_for() -> None:
    store = store_of(weights(), keep=9)
    offer(store, 3, 14, 19, 24)
    assert store.steps() == [14, 24]


def test_the_newest_are_held() -> None:
    store = store_of(weights())
    offer(store, 10, 20, 30, 40)
    assert store.steps() == [30, 40]


def test_a_snapshot_says_what_it_is() -> None:
    store = store_of(weights())
    first, second = store.maybe_take(10), store.maybe_take(20)
    assert first is not None
    assert second is not None
    assert (first.id, first.step, first.finite) == ("memory-10-1", 10, True)
    assert second.id == "memory-20-2"
    assert first.size_bytes == (8 * 8 + 8) * 4


def test_the_buffers_of_a_dropped_snapshot_are_filled_again() -> None:
    model = weights()
    store = store_of(model)
    with Allocations() as made:
        offer(store, *range(10, 200, 10))
        assert made.count == 3 * len(list(model.parameters())), "two held and one being filled"
        store.restore(180)
        offer(store, *range(200, 300, 10))
        assert made.count == 3 * len(list(model.parameters()))


def test_each_snapshot_has_its_own_values() -> None:
    model = weights()
    store = store_of(model, keep=3)
    for step in (10, 20, 30, 40):
        nn.init.constant_(model.weight, float(step))
        store.maybe_take(step)
    for step in (40, 30, 20):
        store.restore(step)
        assert torch.equal(model.weight, torch.full((8, 8), float(step)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_state_with_a_bad_weight_is_told_and_not_held(bad: float) -> None:
    model = weights()
    store = store_of(model)
    offer(store, 10)
    with torch.no_grad():
        model.weight[3, 3] = bad
    snapshot = store.maybe_take(20)
    assert snapshot is not None
    assert not snapshot.finite
    assert store.steps() == [10]


def test_an_infinite_mask_is_no_bad_weight_and_a_nan_in_a_buffer_is() -> None:
    model = weights()
    model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    store = store_of(model)
    offer(store, 10)
    assert store.steps() == [10]
    model.mask = torch.tensor([0.0, math.nan])
    offer(store, 20)
    assert store.steps() == [10]


def test_a_nan_in_the_optimizers_moments_is_not_held() -> None:
    model = weights()
    optimizer = torch.optim.AdamW(model.parameters())
    torch.autograd.backward([model(torch.ones(1, 8)).sum()])
    optimizer.step()
    optimizer.state[model.weight]["exp_avg"][0, 0] = math.nan
    store = store_of(model, optimizer=optimizer)
    offer(store, 10)
    assert store.steps() == []


def test_going_back_forgets_what_came_later() -> None:
    store = store_of(weights(), keep=9)
    offer(store, 10, 20, 30)
    assert store.restore(20).step == 20
    assert store.steps() == [10, 20]
    offer(store, 29)
    assert store.steps() == [10, 20], "the next is due `every` steps after the one gone back to"
    offer(store, 30)
    assert store.steps() == [10, 20, 30]


def test_dropping_forgets_the_later_ones_only() -> None:
    store = store_of(weights(), keep=9)
    offer(store, 10, 20, 30)
    store.drop_after(20)
    assert store.steps() == [10, 20]


def test_a_step_taken_again_replaces_what_was_held_from_it_on() -> None:
    store = store_of(weights(), keep=9)
    offer(store, 10, 20, 30)
    store.restore(10)
    offer(store, 20)
    assert store.steps() == [10, 20]


def test_a_job_that_goes_back_by_itself_begins_anew() -> None:
    store = store_of(weights(), keep=9)
    offer(store, 10, 20, 30, 40, 22, 31)
    assert store.steps() == [10, 20, 31]


def test_a_bad_state_is_told_once_until_it_is_good_again(caplog: pytest.LogCaptureFixture) -> None:
    model = weights()
    store = store_of(model)
    for step, value in ((10, math.nan), (20, math.nan), (30, 1.0), (40, math.nan)):
        nn.init.constant_(model.weight, value)
        store.maybe_take(step)
    assert [record.args for record in caplog.records if "not kept" in record.message] == [(10,), (40,)]


def test_a_step_that_is_not_held_is_refused() -> None:
    store = store_of(weights())
    offer(store, 10, 20)
    with pytest.raises(SnapshotError, match=r"step 15: no snapshot of it is held; held are \[10, 20\]"):
        store.restore(15)


def test_the_cost_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    clock.cost = 0.25
    with caplog.at_level(logging.INFO, "trimtab"):
        store = store_of(nn.Linear(512, 1024, bias=False), clock=clock)
        offer(store, 10, 20, 30)
    assert caplog.messages == [
        "trimtab: a snapshot takes 0.250 s and 2.0 MiB of host memory; one every 10 steps, 2 kept"
    ]


def test_snapshots_that_take_too_long_become_more_seldom(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    clock.cost = 1.0
    store = store_of(weights(), clock=clock, stretch=True)
    taken = []
    for step in range(1, 200):
        clock.now += 1.0
        if store.maybe_take(step):
            taken.append(step)
    assert taken == [10, 20, *range(39, 200, 19)]
    assert store.every == 19
    assert [message for message in caplog.messages if "now one every" in message] == [
        "trimtab: a snapshot takes 1.000 s: now one every 19 steps"
    ]


def test_one_snapshot_that_was_held_up_changes_nothing() -> None:
    clock = Clock()
    store = store_of(weights(), clock=clock, stretch=True)
    for step in range(1, 100):
        clock.now += 1.0
        clock.cost = 50.0 if step == 30 else 0.1
        store.maybe_take(step)
    assert store.every == 10


def test_ranks_that_act_together_keep_their_steps() -> None:
    clock = Clock()
    clock.cost = 100.0
    store = store_of(weights(), clock=clock)
    offer(store, 10, 20, 30)
    assert (store.every, store.steps()) == (10, [20, 30])


def test_fewer_are_kept_where_memory_is_short(caplog: pytest.LogCaptureFixture) -> None:
    size = (8 * 8 + 8) * 4
    store = store_of(weights(), keep=5, available_bytes=lambda: 8 * size)
    offer(store, *range(10, 100, 10))
    assert len(store.steps()) == 3, "half of what is free holds four, of which one is being filled"
    assert "host memory is short: 3 snapshots are kept instead of 5" in caplog.text


def test_without_memory_for_two_there_are_none_and_it_is_told_once() -> None:
    store = store_of(weights(), available_bytes=lambda: 600)
    with pytest.raises(SnapshotError, match=r"no snapshots are taken: two take 0 MiB .* rollback='advise'"):
        store.maybe_take(10)
    assert store.maybe_take(20) is None


@pytest.mark.parametrize("option", ["every", "keep"])
def test_a_count_below_one_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}: 0: give 1 or more"):
        store_of(weights(), **{option: 0})


def test_nothing_to_keep_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"model and optimizer are None: pass at least one to trimtab\.watch"
    ):
        SnapshotStore()


def test_where_rollback_is_off_nothing_is_taken_and_going_back_is_refused() -> None:
    none = NullSnapshots()
    none.maybe_take(10)
    none.drop_after(0)
    assert none.steps() == []
    with pytest.raises(SnapshotError, match="rollback='auto'"):
        none.restore(10)
    with pytest.raises(SnapshotError, match="rollback='auto'"):
        none.scale_lr(0.5)


def test_a_copy_shares_nothing_with_what_it_was_made_of() -> None:
    tree: dict[str, Any] = {
        "a": [torch.ones(3), (torch.zeros(2), {"b": 1})],
        "c": torch.eye(2).to_sparse(),
        "d": [1, [2]],
    }
    copied = host_copy.to_host(tree)
    tree["a"][0].zero_()
    tree["d"][1].append(3)
    assert torch.equal(copied["a"][0], torch.ones(3))
    assert isinstance(copied["a"][1], tuple)
    assert copied["d"] == [1, [2]]
    assert torch.equal(copied["c"].to_dense(), torch.eye(2))
    assert host_copy.size_bytes({"a": tree["a"]}) == (3 + 2) * 4


def test_a_copy_into_buffers_of_another_shape_makes_new_ones() -> None:
    old = host_copy.to_host({"a": torch.ones(3), "b": [torch.ones(2)], "gone": torch.ones(1)})
    new = host_copy.to_host({"a": torch.zeros(4), "b": [torch.zeros(2), torch.zeros(1)]}, old)
    assert new["a"].shape == (4,)
    assert len(new["b"]) == 2


def test_a_copy_fills_the_buffer_it_is_given() -> None:
    old = host_copy.to_host({"a": torch.ones(3)})
    new = host_copy.to_host({"a": torch.full((3,), 7.0)}, old)
    assert new["a"] is old["a"]
    assert torch.equal(new["a"], torch.full((3,), 7.0))


@pytest.mark.parametrize(
    ("values", "finite", "nan"),
    [
        ([1.0, -2.0], True, False),
        ([1.0, math.inf], False, False),
        ([-math.inf, 1.0], False, False),
        ([math.nan, 1.0], False, True),
        ([], True, False),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_what_is_finite(values: list[float], finite: bool, nan: bool, dtype: torch.dtype) -> None:
    tensor = torch.tensor(values, dtype=dtype)
    assert (host_copy.all_finite(tensor), host_copy.has_nan(tensor)) == (finite, nan)


def test_whole_numbers_complex_ones_and_8_bit_floats_are_looked_at_too() -> None:
    assert host_copy.all_finite(torch.tensor([1, 2]))
    assert not host_copy.all_finite(torch.tensor([complex(1, math.inf)]))
    assert host_copy.has_nan(torch.tensor([1.0, math.nan]).to(torch.float8_e5m2))


def test_a_containers_limit_is_what_is_available(tmp_path: Path) -> None:
    group = tmp_path / "job" / "step"
    group.mkdir(parents=True)
    own = tmp_path / "self"
    own.write_text("0::/job/step\n")
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("500\n")
    (tmp_path / "job" / "memory.max").write_text("9000\n")
    (tmp_path / "job" / "memory.current").write_text("7000\n")
    (tmp_path / "job" / "memory.stat").write_text("anon 6000\ninactive_file 800\n")
    assert host_memory.available_bytes(tmp_path, own) == 9000 - 7000 + 800


def test_without_a_limit_the_machines_memory_is_what_is_available(tmp_path: Path) -> None:
    assert host_memory.available_bytes(tmp_path, tmp_path / "missing") > 2**20


@pytest.mark.parametrize(
    ("environ", "processes"),
    [
        ({}, 1),
        ({"LOCAL_WORLD_SIZE": "8"}, 8),
        ({"SLURM_NTASKS_PER_NODE": "4(x2)"}, 1),
        ({"LOCAL_WORLD_SIZE": "0"}, 1),
    ],
)
def test_the_launcher_says_how_many_share_the_memory(environ: dict[str, str], processes: int) -> None:
    assert host_memory.processes_on_host(environ) == processes
