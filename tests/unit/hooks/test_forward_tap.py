"""Which forward passes are looked at: the first of a step in training, and no other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from trimtab.capture.forward_tap import ForwardTap

X = torch.ones(2, 4)


def tapped(
    model: nn.Module, fails: type[Exception] | None = None
) -> tuple[ForwardTap, list[tuple[str, bool]]]:
    """A tap on a model, and of each look its module's name and whether gradients were recorded."""
    looks: list[tuple[str, bool]] = []

    def look(name: str, _module: nn.Module, _output: Any) -> None:
        looks.append((name, torch.is_grad_enabled()))
        if fails is not None:
            raise fails("no look")

    tap = ForwardTap([("a", model)], look)
    tap.arm()
    return tap, looks


def test_the_first_forward_pass_of_an_armed_step_is_seen_without_recording() -> None:
    model = nn.Linear(4, 4)
    tap, looks = tapped(model)
    model(X)
    model(X)
    assert looks == [("a", False)]
    assert tap.settle()
    model(X)
    assert len(looks) == 1
    tap.arm()
    model(X)
    assert len(looks) == 2


def test_evaluation_is_not_seen() -> None:
    model = nn.Linear(4, 4)
    tap, looks = tapped(model)
    with torch.inference_mode():
        model(X)
    model.eval()(X)
    assert looks == []
    assert not tap.settle()
    assert not model._forward_hooks


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_a_checkpoint_computes_again_is_not_seen(reentrant: bool) -> None:
    model = nn.Linear(4, 4)
    tap, looks = tapped(model)
    value = X.clone().requires_grad_()
    output = checkpoint(model, value, use_reentrant=reentrant)
    assert len(looks) == 1
    tap.arm()  # so that it is not for being seen before
    output.sum().backward()
    assert len(looks) == 1
    assert value.grad is not None


def test_what_a_selective_checkpoint_keeps_is_not_disturbed() -> None:
    """Its dispatch mode keeps results by order: one product more would give the wrong ones back."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.sin(self.inner(x).relu() @ self.inner.weight)

    block = Block()
    weights = block.inner.weight

    def gradient(before: Callable[[], object]) -> Tensor:
        before()
        keep = partial(create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
        output = checkpoint(block, X.clone().requires_grad_(), use_reentrant=False, context_fn=keep)
        weights.grad = None
        output.sum().backward()
        assert weights.grad is not None
        return weights.grad.clone()

    plain = gradient(lambda: None)
    multiplies = ForwardTap([("inner", block.inner)], lambda _name, _module, output: output @ output.T)
    assert torch.equal(gradient(multiplies.arm), plain)


def test_a_hook_that_fails_leaves_the_forward_pass_and_tells_afterwards() -> None:
    model = nn.Linear(4, 4)
    tap, looks = tapped(model, fails=ValueError)
    assert model(X).shape == (2, 4)
    model(X)
    assert len(looks) == 1
    assert not model._forward_hooks
    with pytest.raises(ValueError, match="no look"):
        tap.settle()


def test_autocast_does_not_reach_what_is_measured() -> None:
    model, seen = nn.Linear(4, 4), []
    tap = ForwardTap([("a", model)], lambda _name, _module, _output: seen.append((X @ X.T).dtype))
    tap.arm()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(X).dtype == torch.bfloat16
    assert seen == [torch.float32]


def test_a_model_compiled_behind_our_back_runs_in_one_piece_and_is_not_seen() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    tap, looks = tapped(model)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    expected = model[1](model[0](X))
    assert torch.equal(compiled(X), expected)
    assert looks == []
    assert not tap.settle()
    assert torch.equal(compiled(X), expected)
