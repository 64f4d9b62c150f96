"""The largest attention logit, of what attention really multiplies."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode
from transformers import LlamaConfig, LlamaForCausalLM

from trimtab.capture.attention_logits import MOST_LOGITS, AttentionTap, fused_logit
from trimtab.capture.blocks import blocks_of

SDPA = nn.functional.scaled_dot_product_attention


def largest(q: Tensor, k: Tensor, keep: Tensor | None = None) -> float:
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return float(logits.masked_fill(~keep, -math.inf).max() if keep is not None else logits.max())


def test_it_is_the_largest_of_queries_times_keys() -> None:
    q, k = torch.randn(1, 3, 7, 8), torch.randn(1, 3, 9, 8)
    assert float(fused_logit(q, k, k)) == pytest.approx(largest(q, k), rel=1e-5)  # type: ignore[arg-type]
    assert float(fused_logit(q, k, k, scale=2.0)) == pytest.approx(  # type: ignore[arg-type]
        2.0 * math.sqrt(8) * largest(q, k), rel=1e-5
    )


def test_what_is_masked_does_not_count() -> None:
    q, k = torch.randn(1, 2, 6, 4), torch.randn(1, 2, 6, 4)
    lower = torch.ones(6, 6, dtype=torch.bool).tril()
    expected = pytest.approx(largest(q, k, lower), rel=1e-5)
    added = torch.zeros(1, 1, 6, 6).masked_fill(~lower, -math.inf)
    for given in ({"is_causal": True}, {"attn_mask": lower}, {"attn_mask": added}):
        found = fused_logit(q, k, k, **given)
        assert found is not None
        assert float(found) == expected


def test_a_mask_of_padding_is_one_row_for_all_queries() -> None:
    q, k = torch.randn(2, 2, 6, 4), torch.randn(2, 2, 6, 4)
    padding = torch.tensor([[True, True, True, False, False, False]] * 2)[:, None, None, :]
    found = fused_logit(q, k, k, attn_mask=padding)
    assert found is not None
    assert float(found) == pytest.approx(largest(q[:1], k[:1], padding[:1]), rel=1e-5)


def test_heads_of_queries_share_those_of_keys() -> None:
    q, k = torch.randn(1, 6, 5, 4), torch.randn(1, 2, 5, 4)
    found = fused_logit(q, k, k, enable_gqa=True)
    assert found is not None
    assert float(found) == pytest.approx(largest(q, k.repeat_interleave(3, dim=1)), rel=1e-5)


def test_of_a_long_sequence_some_queries_are_looked_at_and_never_too_much_is_found() -> None:
    q, k = torch.randn(1, 2, 3000, 4), torch.randn(1, 2, 3000, 4)
    assert MOST_LOGITS < 2 * 3000 * 3000
    found = fused_logit(q, k, k, is_causal=True)
    assert found is not None
    assert 0.5 * largest(q, k) < float(found) <= largest(q, k)
    q[0, 1, -1] = 100.0 * k[0, 1, 17]
    found = fused_logit(q, k, k, is_causal=True)
    assert found is not None
    assert float(found) == pytest.approx(largest(q, k), rel=1e-4)


class Block(nn.Module):
    """A block whose attention is what a test wants."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.attention(x)
        return out


def tapped(attention: Any, x: Tensor) -> dict[str, Tensor]:
    block = Block(attention)
    tap = AttentionTap([("block", block)])
    tap.arm()
    block(x)
    assert _get_current_function_mode() is None  # type: ignore[no-untyped-call]
    return tap.settle()


def test_attention_that_is_written_out_is_seen_at_its_softmax() -> None:
    x = torch.randn(2, 3, 5, 4)
    softmaxes = (
        lambda logits: logits.softmax(dim=-1),
        lambda logits: torch.softmax(logits, -1),
        lambda logits: torch.softmax(input=logits, dim=-1),
        lambda logits: nn.functional.softmax(logits, dim=-1),
    )
    for softmax in softmaxes:
        found = tapped(lambda x, of=softmax: of(x @ x.transpose(-1, -2) / 2.0) @ x, x)
        assert float(found["max_attention_logit/block"]) == pytest.approx(largest(x, x), rel=1e-5)


def test_other_softmaxes_are_passed_over() -> None:
    x = torch.randn(2, 3, 5, 4)
    assert tapped(lambda x: x[0].softmax(-1), x) == {}
    assert tapped(lambda x: x.softmax(1), x) == {}


def test_several_calls_in_a_block_count_as_the_largest() -> None:
    x = torch.randn(1, 3, 5, 4)
    found = tapped(lambda x: SDPA(x, x, x) + SDPA(3.0 * x, x, x), x)
    assert float(found["max_attention_logit/block"]) == pytest.approx(3.0 * largest(x, x), rel=1e-5)


def test_a_block_that_raises_leaves_no_mode_behind() -> None:
    def fails(_: Tensor) -> Tensor:
        raise RuntimeError("the job's own")

    block = Block(fails)
    tap = AttentionTap([("block", block)])
    tap.arm()
    with pytest.raises(RuntimeError, match="the job's own"):
        block(torch.ones(1))
    assert _get_current_function_mode() is None  # type: ignore[no-untyped-call]
    assert tap.settle() == {}


@pytest.mark.filterwarnings("default")  # of torch's own code, when it compiles
def test_a_block_that_is_compiled_with_the_hooks_in_it_stays_one_graph() -> None:
    block = Block(lambda x: SDPA(x, x, x))
    tap = AttentionTap([("block", block)])
    tap.arm()
    x = torch.randn(1, 2, 5, 4)
    assert torch.equal(torch.compile(block, backend="eager", fullgraph=True)(x), SDPA(x, x, x))
    assert tap.settle() == {}


def test_a_block_that_is_interrupted_leaves_no_mode_behind_once_the_step_is_over() -> None:
    def interrupted(_: Tensor) -> Tensor:
        raise KeyboardInterrupt

    block = Block(interrupted)
    tap = AttentionTap([("block", block)])
    tap.arm()
    with pytest.raises(KeyboardInterrupt):
        block(torch.ones(1))
    tap.close()
    assert _get_current_function_mode() is None  # type: ignore[no-untyped-call]


def test_what_cannot_be_looked_at_does_not_stop_attention() -> None:
    x = torch.randn(1, 2, 4, 4)
    broken = torch.zeros(3, 3)  # no mask for four queries: torch refuses it too

    def attend(x: Tensor) -> Tensor:
        with pytest.raises(RuntimeError):
            SDPA(x, x, x, attn_mask=broken)
        return SDPA(x, x, x)

    block = Block(attend)
    tap = AttentionTap([("block", block)])
    tap.arm()
    assert block(x).shape == x.shape
    with pytest.raises(RuntimeError):
        tap.settle()


def test_of_a_real_model_it_is_that_of_rotated_queries_and_keys() -> None:
    """Fused attention and attention that is written out give the same number."""
    found = {}
    for implementation in ("sdpa", "eager"):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=32,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
        model = LlamaForCausalLM(config).train()
        model.set_attn_implementation(implementation)
        tap = AttentionTap(blocks_of(model))
        tap.arm()
        model(input_ids=torch.arange(24)[None] % 32)
        found[implementation] = {name: float(value) for name, value in tap.settle().items()}
    names = ["max_attention_logit", *(f"max_attention_logit/model.layers.{i}" for i in range(3))]
    assert list(found["sdpa"]) == names
    assert found["sdpa"] == pytest.approx(found["eager"], rel=1e-4)
