"""What several batches say of one step is put together as the step has it."""

from __future__ import annotations

import math

import pytest
import torch

from trimtab.integrations.batches_of_step import BatchesOfStep


def one_parameter(gradient: list[float]) -> torch.optim.Optimizer:
    parameter = torch.nn.Parameter(torch.zeros(len(gradient)))
    parameter.grad = torch.tensor(gradient)
    return torch.optim.SGD([parameter], lr=0.1)


def test_the_loss_of_a_step_is_the_mean_of_what_was_divided() -> None:
    batches = BatchesOfStep()
    for loss in (3.0, 5.0):  # two batches of a step that was to have four
        batches.see_outputs({"loss": torch.tensor(loss) / 4, "besides": 1}, share=4)
    assert float(batches.take()["loss"]) == 4.0
    assert batches.take() == {"loss": None, "grad_norm": None}


def test_losses_of_16_bits_are_added_with_more() -> None:
    batches = BatchesOfStep()
    for loss in (256.0, 1.0):
        batches.see_outputs(torch.tensor(loss, dtype=torch.bfloat16), share=1)
    assert float(batches.take()["loss"]) == 128.5


@pytest.mark.parametrize("outputs", [None, {}, {"other": 1.0}])
def test_a_batch_without_a_loss_says_nothing_of_it(outputs: object) -> None:
    batches = BatchesOfStep()
    batches.see_outputs(outputs, share=1)
    batches.see_outputs(torch.tensor(2.0), share=1)
    assert float(batches.take()["loss"]) == 2.0


def test_tokens_are_added() -> None:
    batches = BatchesOfStep()
    for tokens in (7, torch.tensor(5)):
        batches.see_tokens(tokens)
    assert batches.take()["tokens"] == 12
    assert "tokens" not in batches.take()


def test_the_norm_is_of_the_gradients_of_all_optimizers() -> None:
    batches = BatchesOfStep()
    for gradient in ([3.0, 4.0], [12.0]):
        batches.see_gradients(one_parameter(gradient))
    assert float(batches.take()["grad_norm"]) == pytest.approx(13.0)


def test_the_norm_is_that_before_the_clipping() -> None:
    batches, optimizer = BatchesOfStep(), one_parameter([3.0, 4.0])
    batches.see_gradients(optimizer, clips=True)
    optimizer.param_groups[0]["params"][0].grad *= 0.1
    batches.see_gradients(optimizer)
    assert float(batches.take()["grad_norm"]) == pytest.approx(5.0)
    batches.see_gradients(optimizer)
    assert float(batches.take()["grad_norm"]) == pytest.approx(0.5), "the next step was not clipped"


def test_a_norm_that_is_not_finite_stays_so() -> None:
    batches = BatchesOfStep()
    batches.see_gradients(one_parameter([math.nan]))
    assert math.isnan(float(batches.take()["grad_norm"]))


def test_nothing_is_read_from_a_device() -> None:
    batches = BatchesOfStep()
    parameters = [torch.nn.Parameter(torch.zeros(2, device="meta")) for _ in range(2)]
    for parameter in parameters:
        parameter.grad = torch.zeros(2, device="meta")
        batches.see_outputs({"loss": torch.zeros((), device="meta")}, share=2)
        batches.see_tokens(torch.zeros((), device="meta"))
        batches.see_gradients(torch.optim.SGD([parameter], lr=0.1))
    values = batches.take()
    assert [value.device.type for value in values.values()] == ["meta"] * 3, "reading one would be an error"
