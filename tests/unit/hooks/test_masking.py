"""A step whose gradients are not finite leaves weights, moments and step count as they were."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trimtab.capture.masking import Mask, why_not
from trimtab.capture.optimizer import OptimizerCapture
from trimtab.signals import Signals

Make = Callable[[Any], torch.optim.Optimizer]

MASKABLE: dict[str, Make] = {
    "Adam": lambda groups: torch.optim.Adam(groups, lr=0.1, amsgrad=True, fused=True),
    "AdamW": lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.1, fused=True),
    "SGD": lambda groups: torch.optim.SGD(groups, lr=0.1, weight_decay=0.1, fused=True),
    "SGD with momentum": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, fused=True),
    "SGD with Nesterov's": lambda groups: torch.optim.SGD(
        groups, lr=0.1, momentum=0.9, nesterov=True, fused=True
    ),
    "Adagrad": lambda groups: torch.optim.Adagrad(groups, lr=0.1, fused=True),
}

NOT_MASKABLE: dict[str, Make] = {
    "AdamW": lambda groups: torch.optim.AdamW(groups, foreach=False),
    "AdamW for each": lambda groups: torch.optim.AdamW(groups, foreach=True),
    "SGD": lambda groups: torch.optim.SGD(groups, lr=0.1),
    "RMSprop": torch.optim.RMSprop,
    "SGD with dampening": lambda groups: torch.optim.SGD(
        groups, lr=0.1, momentum=0.9, dampening=0.5, fused=True
    ),
}


class Run:
    """Two parameters in two groups, their optimizer, and what is captured of it."""

    def __init__(self, make: Make, scaler: torch.amp.GradScaler | None = None, **options: Any) -> None:
        self.parameters = [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([[3.0]]))]
        self.optimizer = make([{"params": [each]} for each in self.parameters])
        self.scaler = scaler
        self.told: list[Exception] = []
        self.capture = OptimizerCapture(
            self.optimizer, scaler, lambda _, error: self.told.append(error), masks=True, **options
        )

    def step(self, factor: float) -> None:
        """One step on gradients of which the first is `factor` times what it should be."""
        self.optimizer.zero_grad()
        loss = (self.parameters[0] * factor).sum() + (self.parameters[1] ** 2).sum()
        torch.autograd.backward([self.scaler.scale(loss) if self.scaler else loss])
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        assert self.told == []
        assert not hasattr(self.optimizer, "found_inf")

    def state(self) -> list[Any]:
        """Weights, and what the optimizer remembers."""
        kept = self.optimizer.state_dict()["state"]
        moments = [{name: _plain(value) for name, value in kept[each].items()} for each in sorted(kept)]
        return [[each.tolist() for each in self.parameters], moments]

    def masked(self) -> float | None:
        """What the next row says of it, None: nothing."""
        rows = [bundle for bundle in self.capture.bundles if bundle.names == ("step_masked",)]
        self.capture.bundles.clear()
        assert len(rows) <= 1
        return float(rows[0].tensor[0]) if rows else None


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, Tensor) else value


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", MASKABLE)
def test_a_masked_step_leaves_everything_as_it_was(name: str, bad: float) -> None:
    run = Run(MASKABLE[name])
    run.step(1.0)
    assert run.masked() == 0.0
    before = copy.deepcopy(run.state())
    run.step(bad)
    assert run.masked() == 1.0
    assert run.state() == before
    norm = run.capture.take_grad_norm()
    assert norm is not None
    assert not math.isfinite(norm)
    run.step(1.0)
    assert run.masked() == 0.0
    assert run.state() != before


@pytest.mark.parametrize("name", MASKABLE)
@pytest.mark.parametrize("bad_first", [False, True])
def test_training_goes_on_as_if_the_masked_steps_had_not_been(name: str, bad_first: bool) -> None:
    masked, plain = Run(MASKABLE[name]), Run(MASKABLE[name])
    for factor in [math.nan] * bad_first + [1.0, math.inf, math.nan, 2.0, -1.0]:
        masked.step(factor)
    for factor in (1.0, 2.0, -1.0):
        plain.step(factor)
    assert masked.state() == plain.state()


@pytest.mark.parametrize("name", MASKABLE)
def test_the_loops_own_default_dtype_and_device_do_not_matter(name: str) -> None:
    run = Run(MASKABLE[name], signals=Signals(layer_norms_every=1))
    run.step(1.0)
    run.masked()
    before = copy.deepcopy(run.state())
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            run.step(math.nan)
    finally:
        torch.set_default_dtype(dtype)
    assert run.masked() == 1.0
    assert run.state() == before


@pytest.mark.parametrize("name", MASKABLE)
def test_masking_on_a_device_is_the_same_arithmetic(name: str) -> None:
    """The flag made of a norm that is a tensor, as it is on a device, not read."""
    state = []
    for factors in ((math.nan, 1.0, math.inf, 2.0), (1.0, 2.0)):
        (parameter,) = run = [nn.Parameter(torch.tensor([1.0, 2.0]))]
        optimizer = MASKABLE[name](run)
        mask = Mask(optimizer)
        for factor in factors:
            parameter.grad = torch.full((2,), factor)
            flag: Any = mask.arm(torch.linalg.vector_norm(parameter.grad))
            optimizer.step()
            mask.release()
            assert float(flag) == (not math.isfinite(factor))
            assert not hasattr(optimizer, "found_inf")
        state.append(
            (parameter.tolist(), {key: _plain(value) for key, value in optimizer.state[parameter].items()})
        )
    assert state[0] == state[1]


@pytest.mark.parametrize("name", MASKABLE)
def test_a_gradient_scaler_is_not_disturbed(name: str) -> None:
    scaled = Run(MASKABLE[name], torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=100))
    plain = Run(MASKABLE[name])
    for factor in (math.inf, 1.0, 1.0, math.nan, 2.0):
        scaled.step(factor)
        assert scaled.masked() == (not math.isfinite(factor))
    for factor in (1.0, 1.0, 2.0):
        plain.step(factor)
    assert scaled.scaler is not None
    assert scaled.scaler.get_scale() == 2.0  # halved twice
    assert scaled.state() == plain.state()  # the scales are powers of 2: not a digit differs


def test_a_finite_gradient_that_overflowed_only_for_the_scaler_counts_as_masked() -> None:
    run = Run(MASKABLE["AdamW"])
    mask = Mask(run.optimizer)
    theirs = torch.tensor(1.0)
    run.optimizer.found_inf = theirs  # type: ignore[attr-defined]  # as scaler.step does
    on_device = torch.tensor(2.0)
    for norm in (2.0, on_device, math.nan, on_device * math.nan):
        flag = mask.arm(norm)
        assert flag is not None
        assert float(flag) == 1.0
        mask.release()
        assert run.optimizer.found_inf is theirs  # type: ignore[attr-defined]


def test_a_step_that_raises_leaves_nothing_behind_for_the_next() -> None:
    run = Run(MASKABLE["AdamW"])

    def fail(*_: Any) -> None:
        raise KeyError("the loop's own hook")

    hook = run.optimizer.register_step_pre_hook(fail)
    with pytest.raises(KeyError):
        run.step(math.nan)
    hook.remove()
    before = copy.deepcopy(run.state())
    run.step(1.0)
    assert run.state() != before
    with_hook = run.optimizer.register_step_pre_hook(fail)
    with pytest.raises(KeyError):
        run.step(math.nan)
    with_hook.remove()
    run.capture.close()
    assert not hasattr(run.optimizer, "found_inf")


def test_each_of_several_optimizers_is_masked_by_its_own_gradients() -> None:
    first, second = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizers = [MASKABLE["AdamW"]([first]), MASKABLE["SGD"]([second])]
    capture = OptimizerCapture(optimizers, masks=True)
    first.grad, second.grad = torch.full((2,), math.nan), torch.ones(2)
    for optimizer in optimizers:
        optimizer.step()
    assert first.tolist() == [1.0, 1.0]
    assert second.tolist() != [1.0, 1.0]
    assert [(bundle.names, bundle.tensor.tolist()) for bundle in capture.bundles] == [
        (("step_masked",), [1.0])
    ]


def test_masking_goes_on_when_the_loop_gives_its_own_norm_and_with_layers() -> None:
    run = Run(MASKABLE["AdamW"], signals=Signals(layer_norms_every=2))
    run.capture.stand_down()
    before = copy.deepcopy(run.state())
    for _ in range(4):
        run.step(math.nan)
        assert run.masked() == 1.0
        assert run.capture.take_grad_norm() is None
    assert run.state()[0] == before[0]


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("name", MASKABLE)
def test_a_gradient_that_a_closure_makes_is_masked(name: str, by_name: bool) -> None:
    run = Run(MASKABLE[name])

    def step(factor: float) -> float:
        def closure() -> Tensor:
            run.optimizer.zero_grad()
            loss = (run.parameters[0] * factor).sum() + (run.parameters[1] ** 2).sum()
            torch.autograd.backward([loss])
            return loss

        made: Any = run.optimizer.step(closure=closure) if by_name else run.optimizer.step(closure)  # type: ignore[arg-type]
        assert not hasattr(run.optimizer, "found_inf")
        return float(made.detach())

    step(1.0)
    assert run.masked() == 0.0
    before = copy.deepcopy(run.state())
    assert math.isnan(step(math.nan))
    assert run.masked() == 1.0
    assert run.state() == before
    assert math.isfinite(step(1.0))
    assert run.masked() == 0.0  # the gradient from before the step, not finite, did not mask it
    assert run.state() != before


def test_what_a_closure_raises_is_the_loops() -> None:
    run = Run(MASKABLE["AdamW"])

    def closure() -> Tensor:
        raise KeyError("no such batch")

    with pytest.raises(KeyError, match="no such batch"):
        run.optimizer.step(closure)  # type: ignore[arg-type]
    run.step(1.0)
    assert run.masked() == 0.0


@pytest.mark.parametrize("name", NOT_MASKABLE)
def test_what_cannot_be_masked_is_told_once_with_the_remedy(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(NOT_MASKABLE[name])
    assert caplog.text.count("are not masked") == 1
    assert type(run.optimizer).__name__ in caplog.text
    assert "give" in caplog.text
    run.step(1.0)
    run.step(math.nan)
    assert run.masked() is None
    assert math.isnan(run.parameters[0].tolist()[0])


def test_where_each_rank_has_a_share_nothing_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    parameter = nn.Parameter(torch.ones(2))
    parameter._is_flat_param = True  # type: ignore[attr-defined]  # as FSDP marks its shards
    optimizer = MASKABLE["AdamW"]([parameter])
    capture = OptimizerCapture(optimizer, masks=True)
    assert caplog.text.count("AdamW: gradients that are not finite are not masked") == 1
    parameter.grad = torch.full((2,), math.nan)
    optimizer.step()
    assert [bundle.names for bundle in capture.bundles] == [("grad_norm_sq_shard",)]


def test_a_group_that_is_not_fused_ends_it_without_an_error() -> None:
    run = Run(MASKABLE["AdamW"])
    run.optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "fused": False, "foreach": False})
    run.step(math.nan)
    assert run.masked() is None


def test_an_optimizer_that_asks_the_scaler_itself_is_left_alone() -> None:
    def step(grad_scaler: Any = None) -> None:
        del grad_scaler

    own = SimpleNamespace(_step_supports_amp_scaling=True, param_groups=[], step=step)
    assert why_not(own) is not None


def test_without_masking_nothing_is_said_of_it() -> None:
    parameter = nn.Parameter(torch.ones(2))
    optimizer = MASKABLE["AdamW"]([parameter])
    capture = OptimizerCapture(optimizer)
    parameter.grad = torch.full((2,), math.nan)
    optimizer.step()
    assert capture.bundles == []
    assert math.isnan(parameter.tolist()[0])
