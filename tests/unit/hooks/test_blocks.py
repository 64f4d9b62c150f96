"""Which parts of a model are its blocks."""

from __future__ import annotations

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from trimtab.capture.blocks import MOST_BLOCKS, blocks_of, parameter_layers


def names(model: object) -> list[str]:
    return [name for name, _ in blocks_of(model)]


def test_they_are_the_members_of_the_outermost_lists() -> None:
    gpt = GPT2LMHeadModel(GPT2Config(n_layer=3, n_head=2, n_embd=8, vocab_size=16, n_positions=8))
    assert names(gpt) == ["transformer.h.0", "transformer.h.1", "transformer.h.2"]
    t5 = T5ForConditionalGeneration(
        T5Config(d_model=8, d_ff=8, num_layers=2, num_heads=2, d_kv=4, vocab_size=16)
    )
    assert names(t5) == ["encoder.block.0", "encoder.block.1", "decoder.block.0", "decoder.block.1"]


def test_of_many_some_are_taken_evenly_with_both_ends() -> None:
    model = nn.ModuleDict({"h": nn.ModuleList([nn.Linear(1, 1) for _ in range(1000)])})
    found = names(model)
    assert len(found) == MOST_BLOCKS
    assert [found[0], found[-1]] == ["h.0", "h.999"]


def test_a_model_without_lists_has_its_direct_parts() -> None:
    assert names(nn.Sequential(nn.Linear(2, 2), nn.ReLU())) == ["0", "1"]
    inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert names(nn.ModuleDict({"net": inner})) == ["net.0", "net.1"]
    assert names(nn.Linear(2, 2)) == []


def test_a_parallel_wrapper_is_seen_through() -> None:
    inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert names(nn.DataParallel(inner)) == ["0", "1"]
    layers = parameter_layers(nn.DataParallel(inner), 100)
    assert set(layers.values()) == {"0"}


def test_blocks_of_several_models_have_its_number() -> None:
    models = [nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(2)]
    assert names(models) == ["0.0", "0.1", "1.0", "1.1"]


def test_layers_of_several_models_are_bounded_together() -> None:
    models = [nn.Sequential(*(nn.Linear(1, 1) for _ in range(30))) for _ in range(2)]
    layers = parameter_layers(models, 10)
    assert len(layers) == 120
    assert len(set(layers.values())) <= 10


def test_a_model_without_parameters_has_no_layers() -> None:
    assert parameter_layers(torch.nn.ReLU(), 10) == {}
