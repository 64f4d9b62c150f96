"""Layers: every parameter in exactly one, few enough, as deep as the bound allows, by names alone."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.capture import layers
from trimtab.capture.layers import layers_of, plain_name

PARTS = st.one_of(
    st.integers(0, 30).map(str), st.sampled_from(["layers", "attn", "mlp", "norm", "weight", "0-1"])
)
NAMES = st.lists(st.lists(PARTS, min_size=1, max_size=5).map(".".join), unique=True, max_size=80)


def transformer(blocks: int) -> list[str]:
    inner = [f"layers.{i}.{part}.weight" for i in range(blocks) for part in ("attn", "mlp")]
    return ["embed.weight", *inner, "head.weight"]


@given(NAMES, st.integers(1, 20))
def test_every_parameter_is_in_one_layer_and_there_are_no_more_than_the_bound(
    names: list[str], most: int
) -> None:
    found = layers_of(names, most)
    assert list(found) == names
    assert len(set(found.values())) <= most
    assert all(found.values())
    assert layers_of(names, most) == found


@given(NAMES, st.integers(1, 20))
def test_parameters_of_one_module_are_in_one_layer(names: list[str], most: int) -> None:
    found = layers_of([f"{name}.{kind}" for name in names for kind in ("weight", "bias")], most)
    assert [found[f"{name}.weight"] for name in names] == [found[f"{name}.bias"] for name in names]


@pytest.mark.parametrize(
    ("blocks", "most", "some", "count"),
    [
        (12, 100, "layers.3.attn", 26),
        (60, 100, "layers.3", 62),
        (98, 100, "layers.3", 100),
        (99, 100, "layers.2-3", 52),
        (1000, 100, "layers.990-999", 93),
        (1000, 3, "layers.0-999", 3),
    ],
)
def test_the_cut_is_as_deep_as_the_bound_allows(blocks: int, most: int, some: str, count: int) -> None:
    found = layers_of(transformer(blocks), most)
    assert some in found.values()
    assert len(set(found.values())) == count


def test_a_run_has_neighbours_of_one_parent_only() -> None:
    names = [f"{part}.{i}.weight" for part in ("encoder", "decoder") for i in range(6)]
    assert set(layers_of(names, 4).values()) == {"encoder.0-2", "encoder.3-5", "decoder.0-2", "decoder.3-5"}


def test_without_an_order_in_the_names_neighbours_are_joined() -> None:
    found = layers_of(["first", "second", "third", "fourth", "fifth"], 2)
    assert list(found.values()) == ["first..third"] * 3 + ["fourth..fifth"] * 2


def test_very_many_parts_are_no_work() -> None:
    names = [f"layers.{i}.experts.{j}.weight" for i in range(40) for j in range(256)]
    assert len(set(layers_of(names, 100).values())) <= 100


@pytest.mark.parametrize(
    "name",
    [
        "module.layers.0.weight",
        "_orig_mod.module.layers.0.weight",
        "module._orig_mod.layers._fsdp_wrapped_module.0._checkpoint_wrapped_module.weight",
        "layers.0.weight",
    ],
)
def test_what_wrappers_add_to_a_name_is_taken_away(name: str) -> None:
    assert plain_name(name) == "layers.0.weight"


def test_a_parameter_may_be_called_module() -> None:
    assert plain_name("module") == "module"


def test_the_examples_hold() -> None:
    assert doctest.testmod(layers).failed == 0
