"""A bad batch under `mask_non_finite`: the weights are unharmed, the run goes on, and people see a mark."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from torch import nn

import trimtab
from trimtab.signals import Signals
from trimtab_monitor.testing.running import RunningCollector

STEPS, BAD = 60, 40


def train(url: str, bad: int | None = BAD, **options: Any) -> tuple[str, list[float]]:
    """Train a line through a cloud; the batch of step `bad` holds a NaN. Returns run and losses."""
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, fused=True)
    losses = []
    with trimtab.watch(model, optimizer, project="masks", url=url, **options) as watch:
        for step in range(1, STEPS + 1):
            inputs = torch.randn(16, 4)
            if step == bad:
                inputs[3, 2] = math.nan
            loss = (model(inputs) - inputs.nan_to_num().sum(1, keepdim=True)).pow(2).mean()
            optimizer.zero_grad()
            torch.autograd.backward([loss])
            optimizer.step()
            losses.append(loss.item())
            watch.step(loss=loss)
    return watch.run, losses


def test_a_masked_step_is_a_mark_and_training_goes_on(home: Path) -> None:
    with RunningCollector(home / "collector") as collector, httpx.Client(base_url=collector.url) as http:
        run, losses = train(collector.url, rollback="auto", signals=Signals(layer_norms_every=10))
        _, plain = train(collector.url, bad=None)
        incidents = http.get(f"/v1/runs/{run}/incidents").json()
        commands = http.get(f"/v1/runs/{run}/commands").json()
        told = {
            name: http.get(f"/v1/runs/{run}/series", params={"metric": name}).json()
            for name in ("step_masked", "grad_norm/weight", "grad_norm")
        }
    assert [step for step, loss in enumerate(losses, start=1) if not math.isfinite(loss)] == [BAD]
    assert losses[: BAD - 1] == plain[: BAD - 1]
    assert losses[-1] < losses[0] / 2
    assert [(each["kind"], each["severity"], each["start_step"]) for each in incidents] == [
        ("non_finite", "info", BAD)
    ]
    assert "the step was masked, and the weights are unharmed" in incidents[0]["summary"]
    assert commands == []
    assert told["step_masked"]["value"] == [float(step == BAD) for step in range(1, STEPS + 1)]
    assert told["grad_norm/weight"]["step"] == [10, 20, 30, 40, 50, 60]
    assert told["grad_norm"]["step"] == list(range(1, STEPS + 1))


def test_masking_is_on_exactly_where_the_run_may_roll_back(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with RunningCollector(home / "collector") as collector, httpx.Client(base_url=collector.url) as http:
        cases: tuple[tuple[dict[str, Any], bool], ...] = (
            ({}, False),
            ({"rollback": "off", "mask_non_finite": True}, True),
            ({"rollback": "advise", "mask_non_finite": False}, False),
        )
        for options, masks in cases:
            run, losses = train(collector.url, **options)
            assert math.isfinite(losses[-1]) is masks
            values = http.get(f"/v1/runs/{run}/series", params={"metric": "step_masked"})
            assert (values.status_code == 200 and bool(values.json()["step"])) is masks
    assert "are not masked" not in caplog.text
