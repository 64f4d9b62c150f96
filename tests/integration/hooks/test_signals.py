"""The optional signals of real models: at which steps they come, that they are true, and disturb nothing."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import torch
from transformers import MixtralConfig, MixtralForCausalLM

import trimtab
from trimtab.signals import Signals
from trimtab.testing import RecordingCollector
from trimtab.vocabulary import is_measured
from trimtab_monitor.testing.running import RunningCollector

STEPS, EVERY = 60, 10
ALL = Signals(param_norm_every=EVERY, update_ratio_every=EVERY, activations_every=EVERY, experts_every=EVERY)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are slow where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(steps: int, **options: Any) -> tuple[list[float], list[float], Any]:
    """Train a small mixture of experts, with micro-batches, checkpointing, and an evaluation now and then.

    Returns the loss of each step, the norm of the parameters after it, and the model.
    """
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_local_experts=4,
        num_experts_per_tok=2,
    )
    model: Any = MixtralForCausalLM(config).train()
    model.activation_checkpointing_enable()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    tokens = torch.arange(64).reshape(4, 16) % 32
    losses, norms = [], []
    watch = trimtab.watch(model, optimizer, project="signals", **options) if options else None
    for step in range(steps):
        if step % 7 == 0:
            model.eval()(input_ids=tokens)
            model.train()
        parts = [model(input_ids=part, labels=part).loss / 2 for part in (tokens[:2], tokens[2:])]
        for part in parts:
            part.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(sum(part.detach() for part in parts)))
        norms.append(float(torch.cat([each.detach().reshape(-1) for each in model.parameters()]).norm()))
        if watch is not None:
            watch.step(loss=losses[-1])
    if watch is not None:
        watch.close()
    return losses, norms, model


def test_a_mixture_of_experts_is_measured_every_so_many_steps(
    collector: RecordingCollector, home: Path
) -> None:
    plain, _, unwatched = train(2 * EVERY)
    losses, norms, model = train(STEPS, url=collector.url, signals=ALL)
    hooks = hooks_of(unwatched)
    assert losses[: len(plain)] == plain
    assert collector.column("loss") == losses
    due = [step % EVERY == 0 for step in range(1, STEPS + 1)]
    names = {name for batch in collector.batches() for name in batch.metrics}
    blocks = [f"model.layers.{i}" for i in range(2)]
    for name in (
        "param_norm",
        "update_ratio",
        "max_attention_logit",
        *(f"{what}/{block}" for what in ("activation_kurtosis", "max_attention_logit") for block in blocks),
        *(f"expert_share/{block}.mlp.{end}" for end in ("max", "min") for block in blocks),
    ):
        assert [is_measured(value) for value in collector.column(name)] == due, name
    arrived = [value for value in collector.column("param_norm") if is_measured(value)]
    assert arrived == pytest.approx(norms[EVERY - 1 :: EVERY], rel=1e-5)
    ratios = [value for value in collector.column("update_ratio") if is_measured(value)]
    assert all(1e-4 < ratio < 1.0 for ratio in ratios)
    assert len(names) < 80
    assert collector.events("hook_error") == []
    assert hooks_of(model) == hooks


def hooks_of(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


RANK = """
import json, math, os, torch, trimtab
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
dist.init_process_group("gloo")
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(7, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1, bias=False))
for layer in (model[0], model[2], model):
    fully_shard(layer)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
torch.manual_seed(dist.get_rank())
signals = trimtab.Signals(param_norm_every=1, update_ratio_every=5, activations_every=5)
norms, losses = [], []
with trimtab.watch(model, optimizer, project="shards", signals=signals) as watch:
    for _ in range(50):
        loss = model(torch.randn(8, 7)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(loss=loss)
        losses.append(loss.item())
        whole = [each.full_tensor().detach().reshape(-1) for each in model.parameters()]
        norms.append(float(torch.cat(whole).norm()))
print(json.dumps({"run": watch.run, "norms": norms, "losses": losses}), flush=True)
dist.barrier()
os._exit(0)  # gloo's own threads abort the interpreter's end now and then
"""


def test_what_sharded_ranks_send_becomes_the_numbers_of_the_run(home: Path) -> None:
    with RunningCollector(home / "collector") as collector, httpx.Client(base_url=collector.url) as http:
        first, second = ranks(collector.url)
        run = http.get(f"/v1/runs/{first['run']}").json()

        def series(metric: str) -> list[float]:
            told = http.get(f"/v1/runs/{first['run']}/series", params={"metric": metric}).json()
            assert told["step"] == list(range(1, 51)), metric
            return list(told["value"])

        assert series("param_norm") == pytest.approx(first["norms"], rel=1e-5)
        pairs = list(zip(first["losses"], second["losses"], strict=True))
        assert series("loss/mean") == pytest.approx([sum(pair) / 2 for pair in pairs])
        assert series("loss/min") == [min(pair) for pair in pairs]
        assert series("loss/max") == [max(pair) for pair in pairs]
    latest = run["latest"]
    assert latest["param_norm"] == pytest.approx(first["norms"][-1], rel=1e-5)
    assert latest["loss/max"] == max(pairs[-1])
    assert math.isfinite(latest["update_ratio"])
    assert latest["activation_absmax/1"] <= 1.0


def ranks(url: str) -> list[dict[str, Any]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = os.environ | {
        "TRIMTAB_URL": url,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", RANK], env=environ | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    told = [job.communicate(timeout=120)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    return [json.loads(text.splitlines()[-1]) for text in told]
