"""The gradient norm and the learning rate, read from the optimizer without waiting for a device."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trimtab.capture.gradient_watch import unless_left_out
from trimtab.capture.optimizer import NullCapture, OptimizerCapture
from trimtab.signals import Signals
from trimtab.vocabulary import is_measured


class NoNorm(Tensor):
    """A gradient that an optimizer can use, and whose norm cannot be taken."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.dot:
            raise NotImplementedError("no dot product of these")
        return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]


class OddRate(torch.optim.Optimizer):
    """An optimizer that keeps something of its own where others have the rate."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": "by layer"})

    def step(self, closure: Any = None) -> Any:
        del closure


def parameters_with_gradients(*gradients: Tensor) -> list[nn.Parameter]:
    out = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros(gradient.shape, dtype=gradient.dtype))
        parameter.grad = gradient
        out.append(parameter)
    return out


def plain_norm(*gradients: Tensor) -> float:
    return math.sqrt(sum(float(gradient.double().pow(2).sum()) for gradient in gradients))


def taken(capture: OptimizerCapture) -> float:
    norm = capture.take_grad_norm()
    assert norm is not None
    return float(norm)


def test_the_norm_is_over_all_gradients_of_all_groups() -> None:
    gradients = torch.randn(3, 4), torch.randn(7), torch.randn(2, 2, 2)
    first, second, third = parameters_with_gradients(*gradients)
    groups: list[dict[str, Any]] = [{"params": [first, second]}, {"params": [third], "lr": 1.0}]
    optimizer = torch.optim.AdamW(groups)
    capture = OptimizerCapture(optimizer)
    optimizer.step()
    assert taken(capture) == pytest.approx(plain_norm(*gradients), rel=1e-6)


def test_a_norm_is_handed_out_once() -> None:
    optimizer = torch.optim.SGD(parameters_with_gradients(torch.ones(4)), lr=0.1)
    capture = OptimizerCapture(optimizer)
    assert capture.take_grad_norm() is None
    optimizer.step()
    assert taken(capture) == 2.0
    assert capture.take_grad_norm() is None


def test_parameters_without_gradients_are_left_out() -> None:
    (trained,) = parameters_with_gradients(torch.ones(4))
    optimizer = torch.optim.SGD([trained, nn.Parameter(torch.ones(5))], lr=0.1)
    capture = OptimizerCapture(optimizer)
    optimizer.step()
    assert taken(capture) == 2.0


def test_no_gradients_at_all_give_no_norm() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(5))], lr=0.1)
    capture = OptimizerCapture(optimizer)
    optimizer.step()
    assert capture.take_grad_norm() is None


def test_the_repeated_rows_of_a_sparse_gradient_are_added_first() -> None:
    embedding = nn.Embedding(10, 3, sparse=True)
    embedding(torch.tensor([1, 1, 4])).sum().backward()
    assert embedding.weight.grad is not None
    assert embedding.weight.grad.is_sparse
    optimizer: Any = torch.optim.SparseAdam(list(embedding.parameters()))
    capture = OptimizerCapture(optimizer)
    optimizer.step()
    assert taken(capture) == pytest.approx(math.sqrt(3 * 2**2 + 3 * 1**2))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_shows(bad: float) -> None:
    optimizer = torch.optim.SGD(parameters_with_gradients(torch.ones(4), torch.tensor([1.0, bad])), lr=0.1)
    capture = OptimizerCapture(optimizer)
    optimizer.step()
    assert not math.isfinite(taken(capture))


def test_the_squares_of_several_optimizers_are_added() -> None:
    one = torch.optim.SGD(parameters_with_gradients(torch.full((1,), 3.0)), lr=0.1)
    other = torch.optim.SGD(parameters_with_gradients(torch.full((1,), 4.0)), lr=0.7)
    capture = OptimizerCapture([one, other])
    one.step()
    other.step()
    assert taken(capture) == 5.0
    assert capture.lr() == 0.1


def test_an_optimizer_that_steps_twice_counts_with_its_last_step() -> None:
    (parameter,) = parameters_with_gradients(torch.full((1,), 3.0))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    capture = OptimizerCapture(optimizer)
    optimizer.step()
    parameter.grad = torch.full((1,), 4.0)
    optimizer.step()
    assert taken(capture) == 4.0


def test_with_a_closure_the_gradients_after_the_step_count() -> None:
    parameter = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer: Any = torch.optim.LBFGS([parameter], max_iter=1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (parameter**2).sum()
        torch.autograd.backward([loss])
        return loss

    capture = OptimizerCapture(optimizer)
    optimizer.step(closure)
    assert parameter.grad is not None
    assert taken(capture) == pytest.approx(float(parameter.grad.norm()))


def test_the_loops_own_clipping_is_seen() -> None:
    (parameter,) = parameters_with_gradients(torch.full((4,), 50.0))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    capture = OptimizerCapture(optimizer)
    before = nn.utils.clip_grad_norm_([parameter], 1.0)
    optimizer.step()
    assert float(before) == 100.0
    assert taken(capture) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscale_first", [False, True])
def test_the_factor_of_a_gradient_scaler_is_taken_out(fused: bool, unscale_first: bool) -> None:
    parameter = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = torch.optim.AdamW([parameter], lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    capture = OptimizerCapture(optimizer, scaler)
    torch.autograd.backward([scaler.scale((parameter**2).sum() / 2)])
    if unscale_first:
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    assert taken(capture) == pytest.approx(5.0)
    scale = capture.loss_scale()
    assert scale is not None
    assert float(scale) == 1024.0


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscale_first", [False, True])
def test_a_step_that_the_scaler_skips_has_no_norm(fused: bool, unscale_first: bool) -> None:
    parameter = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([parameter], lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    capture = OptimizerCapture(optimizer, scaler)
    torch.autograd.backward([scaler.scale((parameter * math.inf).sum())])
    if unscale_first:
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert capture.take_grad_norm() is None
    scale = capture.loss_scale()
    assert scale is not None
    assert float(scale) == 512.0


@pytest.mark.parametrize(("found", "shown"), [(None, True), (0.0, True), (1.0, False)])
def test_on_a_device_the_norm_of_a_skipped_step_is_made_not_measured_there(
    found: float | None, shown: bool
) -> None:
    optimizer = SimpleNamespace()
    if found is not None:
        optimizer.found_inf = torch.tensor(found)
    norm = unless_left_out(torch.tensor(2.0), optimizer)
    assert is_measured(float(norm)) is shown
    assert not shown or float(norm) == 2.0


@pytest.mark.parametrize(
    "scaler", [None, torch.amp.GradScaler("cpu", enabled=False), torch.amp.GradScaler("cpu")]
)
def test_there_is_no_scale_before_a_scaler_has_one(scaler: torch.amp.GradScaler | None) -> None:
    assert (
        OptimizerCapture(torch.optim.SGD(parameters_with_gradients(torch.ones(1))), scaler).loss_scale()
        is None
    )


def test_a_norm_in_host_memory_is_a_number_at_once() -> None:
    one = torch.optim.SGD(parameters_with_gradients(torch.full((1,), 3.0)), lr=0.1)
    other = torch.optim.SGD(parameters_with_gradients(torch.full((1,), 4.0)), lr=0.1)
    capture = OptimizerCapture([one, other])
    one.step()
    other.step()
    assert type(capture.take_grad_norm()) is float


def test_nothing_is_read_back_from_a_device() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).to("meta")  # whose values nobody can read
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
    told: list[Exception] = []
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in model]
    capture = OptimizerCapture(
        optimizers, None, lambda _, error: told.append(error), model, Signals(layer_norms_every=1)
    )
    for optimizer in optimizers:
        optimizer.step()
    norm = capture.take_grad_norm()
    assert isinstance(norm, Tensor)
    assert norm.device.type == "meta"
    assert [bundle.names for bundle in capture.bundles] == [("grad_norm/0", "grad_norm/1")]
    assert told == []


def test_the_rate_is_the_one_that_the_step_was_taken_with() -> None:
    optimizer = torch.optim.SGD(parameters_with_gradients(torch.ones(1)), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    capture = OptimizerCapture(optimizer)
    assert capture.lr() == 0.1
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.05
    assert capture.lr() == 0.1
    optimizer.step()
    assert capture.lr() == 0.05


def test_a_rate_in_a_tensor_is_read_where_the_host_has_it() -> None:
    optimizer = torch.optim.SGD(parameters_with_gradients(torch.ones(1)), lr=torch.tensor(0.25))
    assert OptimizerCapture(optimizer).lr() == 0.25


def test_a_rate_that_is_no_number_is_told_once_and_raises_nothing() -> None:
    told: list[str] = []
    (parameter,) = parameters_with_gradients(torch.ones(4))
    optimizer = OddRate([parameter])
    capture = OptimizerCapture(optimizer, None, lambda where, _: told.append(where))
    for _ in range(2):
        optimizer.step()
    assert told == ["learning rate"]
    assert capture.lr() is None
    assert taken(capture) == 2.0


def test_a_rate_on_a_device_stays_there_as_it_was() -> None:
    rate = torch.tensor(0.25, device="meta")
    optimizer = SimpleNamespace(param_groups=[{"params": [], "lr": rate}])
    read = OptimizerCapture(optimizer).lr()
    assert isinstance(read, Tensor)
    assert read is not rate
    assert read.device.type == "meta"


def test_after_standing_down_no_norm_is_taken_and_the_rate_still_is() -> None:
    optimizer = torch.optim.SGD(parameters_with_gradients(torch.ones(1)), lr=0.1)
    capture = OptimizerCapture(optimizer)
    optimizer.step()
    capture.stand_down()
    optimizer.param_groups[0]["lr"] = 0.3
    optimizer.step()
    assert capture.take_grad_norm() is None
    assert capture.lr() == 0.3


def test_after_closing_the_optimizer_has_no_hooks() -> None:
    optimizer = torch.optim.SGD(parameters_with_gradients(torch.ones(1)), lr=0.1)
    capture = OptimizerCapture(optimizer)
    assert len(optimizer._optimizer_step_pre_hooks) > 0
    capture.close()
    assert len(optimizer._optimizer_step_pre_hooks) == len(optimizer._optimizer_step_post_hooks) == 0


def test_an_error_in_the_hook_is_told_once_and_not_raised() -> None:
    told: list[str] = []
    (parameter,) = parameters_with_gradients(torch.ones(4))
    optimizer = torch.optim.SGD([parameter], lr=0.1, fused=True)
    capture = OptimizerCapture(optimizer, None, lambda where, _: told.append(where), masks=True)
    optimizer.register_step_pre_hook(lambda *_: None)  # one more that torch goes through afterwards
    parameter.grad = NoNorm(torch.full((4,), 2.0))
    for _ in range(2):
        optimizer.step()
    assert told == ["gradients"]
    assert capture.take_grad_norm() is None
    assert capture.bundles == []
    assert parameter.tolist() == pytest.approx([-0.4] * 4)


def test_a_wrapped_optimizer_is_seen_through() -> None:
    inner = torch.optim.SGD(parameters_with_gradients(torch.full((4,), 2.0)), lr=0.1)
    capture = OptimizerCapture(SimpleNamespace(optimizer=inner))
    inner.step()
    assert taken(capture) == 4.0


def test_an_optimizer_without_hooks_gives_its_rate_only(caplog: pytest.LogCaptureFixture) -> None:
    capture = OptimizerCapture(SimpleNamespace(param_groups=[{"params": [], "lr": 0.5}]))
    assert capture.lr() == 0.5
    assert capture.take_grad_norm() is None
    assert "pass grad_norm= to watch.step" in caplog.text


def test_of_sharded_parameters_the_square_of_the_share_is_sent() -> None:
    sharded, empty = parameters_with_gradients(torch.full((4,), 3.0), torch.ones(2))
    sharded._is_flat_param = empty._is_flat_param = True  # type: ignore[attr-defined]  # as FSDP marks its shards
    empty.grad = None
    optimizers = [torch.optim.SGD([each], lr=0.1) for each in (sharded, empty)]
    capture = OptimizerCapture(optimizers)
    for _ in range(2):  # a step that no row took is replaced
        for optimizer in optimizers:
            optimizer.step()
    assert capture.take_grad_norm() is None
    assert [(bundle.names, bundle.tensor.tolist()) for bundle in capture.bundles] == [
        (("grad_norm_sq_shard",), [36.0])
    ]
    capture.bundles.clear()
    optimizers[1].step()
    assert [bundle.tensor.tolist() for bundle in capture.bundles] == [[0.0]]
    capture.stand_down()
    assert capture.bundles == []


def test_without_an_optimizer_nothing_is_captured() -> None:
    capture = NullCapture()
    capture.stand_down()
    capture.close()
    assert (capture.take_grad_norm(), capture.lr(), capture.loss_scale()) == (None, None, None)
