"""The loop may copy or save its model at any time: hooks that are in it then stay behind."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import torch
from torch import nn

from trimtab.capture.attention_logits import AttentionTap
from trimtab.capture.forward_tap import ForwardTap

X = torch.ones(2, 4)


def test_a_model_is_copied_and_pickled_in_an_armed_step_without_its_hooks() -> None:
    model, looks = nn.Linear(4, 4), []
    taps: Any = [
        ForwardTap([("a", model)], lambda name, *_: looks.append(name)),
        AttentionTap([("a", model)]),
    ]
    for tap in taps:
        tap.arm()
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied(X), nn.functional.linear(X, model.weight, model.bias))
        assert torch.equal(pickle.loads(pickle.dumps(copied)).weight, model.weight)
    assert looks == []
    model(X)
    assert looks == ["a"]
    for tap in taps:
        tap.settle()
