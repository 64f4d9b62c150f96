"""What blocks put out, as a handful of scalars."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trimtab.capture.activations import MOST_SAMPLED, Activations, first_tensor, sampled, shape
from trimtab.capture.bundle import Bundle
from trimtab.capture.forward_tap import MOST_UNSEEN


def told(bundles: list[Bundle]) -> dict[str, float]:
    return {name: value for b in bundles for name, value in zip(b.names, b.tensor.tolist(), strict=True)}


def test_each_block_has_its_magnitude_and_kurtosis() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    activations = Activations(list(model.named_children()))
    activations.arm()
    output = model(torch.randn(5, 4))
    values = told(activations.after())
    assert list(values) == [
        f"activation_{what}/{block}" for block in "01" for what in ("absmax", "rms", "kurtosis")
    ]
    assert values["activation_absmax/1"] == pytest.approx(float(output.detach().abs().max()))
    assert values["activation_rms/1"] == pytest.approx(float(output.detach().pow(2).mean().sqrt()))


def test_nothing_of_the_activations_is_kept_and_no_hook_is_left() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    activations = Activations(list(model.named_children()))
    activations.arm()
    model(torch.randn(5, 4))
    assert all(value.numel() == 1 and not value.requires_grad for value in activations._values.values())
    activations.after()
    assert activations._values == {}
    activations.arm()
    activations.close()
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks


def test_what_is_normal_has_a_kurtosis_of_3_and_an_outlier_much_more() -> None:
    torch.manual_seed(0)
    normal = torch.randn(400, 100)
    assert float(dict(shape(normal))["kurtosis"]) == pytest.approx(3.0, abs=0.1)
    normal[:, 7] *= 50.0
    assert float(dict(shape(normal))["kurtosis"]) > 50.0


def test_16_bit_values_do_not_overflow() -> None:
    values = dict(shape(torch.full((8, 8), 60_000.0, dtype=torch.float16)))
    assert float(values["rms"]) == pytest.approx(60_000.0, rel=1e-3)
    assert float(values["absmax"]) == pytest.approx(60_000.0, rel=1e-3)


def test_a_single_value_that_is_not_finite_is_seen_however_large_the_output() -> None:
    values = torch.zeros(3000, 1000)
    values[1234, 567] = float("inf")
    assert float(dict(shape(values))["absmax"]) == float("inf")


@pytest.mark.parametrize("size", [(7,), (3, 5), (4096, 512), (2, 1024, 1024), (1, 2 * MOST_SAMPLED)])
def test_a_sample_is_whole_rows_and_bounded(size: tuple[int, ...]) -> None:
    rows = sampled(torch.zeros(size))
    assert rows.shape[1] == size[-1]
    assert rows.numel() <= max(MOST_SAMPLED, size[-1])
    assert rows.numel() >= min(torch.Size(size).numel(), MOST_SAMPLED // 2)


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: (x, None), lambda x: {"h": x}, lambda x: [None, (x,)]]
)
def test_blocks_put_out_tensors_in_many_ways(wrap: Any) -> None:
    x = torch.ones(2, 2)
    found = first_tensor(wrap(x))
    assert found is not None
    assert torch.equal(found, x)


@pytest.mark.parametrize(
    "nothing", [None, 3, "text", torch.ones(3, dtype=torch.int64), torch.empty(0, 4), ()]
)
def test_what_has_no_real_numbers_is_passed_over(nothing: Any) -> None:
    assert first_tensor(nothing) is None


def test_it_ends_where_the_first_measured_steps_see_no_block() -> None:
    activations = Activations([("block", nn.Linear(4, 4))])
    for _ in range(MOST_UNSEEN - 1):
        activations.arm()
        assert activations.after() == []
    activations.arm()
    with pytest.raises(LookupError, match="no forward pass of a block was seen in 3 measured steps"):
        activations.after()


def test_steps_between_two_optimizers_end_nothing_once_a_block_was_seen() -> None:
    block = nn.Linear(4, 4)
    activations = Activations([("block", block)])
    activations.arm()
    block(torch.ones(2, 4))
    assert activations.after() != []
    for _ in range(2 * MOST_UNSEEN):
        activations.arm()
        assert activations.after() == []


def test_the_largest_attention_logit_comes_with_it() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    model = nn.Sequential(Attention())
    activations = Activations(list(model.named_children()))
    activations.arm()
    x = torch.randn(1, 2, 5, 4)
    model(x)
    values = told(activations.after())
    largest = float((x @ x.transpose(-1, -2)).max() / 2.0)
    assert values["max_attention_logit"] == values["max_attention_logit/0"] == pytest.approx(largest)
