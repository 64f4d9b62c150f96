"""How evenly the routers of a real mixture of experts, and of others, spread their tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import MixtralConfig, MixtralForCausalLM

from trimtab.capture.blocks import MOST_BLOCKS
from trimtab.capture.bundle import Bundle
from trimtab.capture.experts import Experts, choices, expert_shares, routers_of


def told(bundles: list[Bundle]) -> dict[str, float]:
    return {name: value for b in bundles for name, value in zip(b.names, b.tensor.tolist(), strict=True)}


def mixtral(layers: int = 2) -> Any:
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        num_experts_per_tok=2,
    )
    return MixtralForCausalLM(config).train()


def test_the_shares_of_a_real_model_are_those_of_its_own_choices() -> None:
    model = mixtral()
    chosen: dict[str, Tensor] = {}
    for index, layer in enumerate(model.model.layers):
        layer.mlp.gate.register_forward_hook(
            lambda _module, _args, out, name=f"model.layers.{index}.mlp": chosen.update({name: out[2]})
        )
    experts = Experts(routers_of(model))
    experts.arm()
    model(input_ids=torch.randint(0, 64, (2, 16)))
    values = told(experts.after())
    assert len(values) == 6
    for name, indices in chosen.items():
        shares = torch.bincount(indices.flatten(), minlength=4) / indices.numel()
        assert values[f"expert_share/{name}.max"] == pytest.approx(float(shares.max()))
        assert values[f"expert_share/{name}.min"] == pytest.approx(float(shares.min()))
        assert 0.0 < values[f"expert_entropy/{name}"] < 1.0


def test_a_router_that_sends_all_to_one_is_told() -> None:
    model = mixtral(layers=1)
    with torch.no_grad():
        model.model.layers[0].mlp.gate.weight.zero_()
    experts = Experts(routers_of(model))
    experts.arm()
    model(input_ids=torch.randint(0, 64, (2, 16)))
    values = told(experts.after())
    assert values["expert_share/model.layers.0.mlp.max"] == 0.5  # each token goes to two
    assert values["expert_share/model.layers.0.mlp.min"] == 0.0
    assert values["expert_entropy/model.layers.0.mlp"] == pytest.approx(0.5)


def test_of_many_routers_a_bounded_number_is_looked_at() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(2, 4)
            self.experts = nn.ModuleList()

    found = routers_of(nn.ModuleDict({"blocks": nn.ModuleList([Sparse() for _ in range(61)])}))
    assert len(found) == MOST_BLOCKS
    assert [found[0][0], found[-1][0]] == ["blocks.0", "blocks.60"]


def test_a_gate_without_experts_is_no_router() -> None:
    """The gated feed-forward layers of most models have one."""
    assert routers_of(nn.ModuleDict({"gate": nn.Linear(2, 2), "up": nn.Linear(2, 2)})) == []


def test_a_router_may_put_out_logits_only() -> None:
    logits = torch.tensor([[[3.0, 2.0, 1.0, 0.0], [0.0, 3.0, 2.0, 1.0]]])
    found = choices(logits, top_k=2)
    assert found is not None
    assert expert_shares(*found).tolist() == [0.25, 0.5, 0.25, 0.0]


def test_many_choices_are_sampled_over_all_tokens() -> None:
    logits = nn.functional.one_hot(torch.arange(200_000) * 4 // 200_000, 4).float()
    found = choices(logits, top_k=1)
    assert found is not None
    chosen, count = found
    assert len(chosen) <= 2**15
    assert expert_shares(chosen, count).tolist() == pytest.approx([0.25] * 4, abs=1e-3)


@pytest.mark.parametrize("output", [None, torch.tensor(1.0), (torch.arange(4),), torch.empty(0, 4)])
def test_an_output_without_scores_is_passed_over(output: Any) -> None:
    assert choices(output, top_k=1) is None


def test_even_shares_have_an_entropy_of_one() -> None:
    class Router(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    router = Router().train()
    experts = Experts([("block", router, nn.Module())])
    experts.arm()
    router(nn.functional.one_hot(torch.arange(8), 8).float())
    values = told(experts.after())
    assert values == {
        "expert_share/block.max": 0.125,
        "expert_share/block.min": 0.125,
        "expert_entropy/block": pytest.approx(1.0),
    }
