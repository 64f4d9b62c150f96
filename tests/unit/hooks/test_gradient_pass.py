"""Norms of gradients: each number counted once, in enough digits, wherever and however it lies."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trimtab.capture.gradient_pass import GradientPass, joined
from trimtab.capture.gradients import RUN_ELEMENTS, SUM_ELEMENTS, norms_on_device, square_on_host


def parameter_with(gradient: Tensor | None, shape: tuple[int, ...] = (2,)) -> nn.Parameter:
    parameter = nn.Parameter(
        torch.zeros(shape if gradient is None else gradient.shape, dtype=getattr(gradient, "dtype", None))
    )
    parameter.grad = gradient
    return parameter


def optimizer_of(*gradients: Tensor | None) -> torch.optim.Optimizer:
    return torch.optim.SGD([parameter_with(gradient) for gradient in gradients], lr=0.1)


def plain_norm(*gradients: Tensor) -> float:
    return math.sqrt(sum(float(gradient.double().pow(2).sum()) for gradient in gradients))


def squares(gradients: GradientPass, optimizer: torch.optim.Optimizer) -> list[float]:
    """Each parameter's square, in the optimizer's order, every parameter a layer of its own."""
    every = [each for group in optimizer.param_groups for each in group["params"]]
    found = gradients.squares({id(each): number for number, each in enumerate(every)}, len(every))
    assert found is not None
    assert found[1] == {number for number, each in enumerate(every) if each.grad is not None}
    return list(map(float, found[0]))


KINDS: dict[str, list[Tensor | None]] = {
    "one": [torch.randn(5)],
    "scalars": [torch.tensor(3.0), torch.tensor(4.0)],
    "small of one shape": [torch.randn(4, 3) for _ in range(50)],
    "small of many shapes": [
        torch.randn(4, 3),
        torch.randn(4, 3),
        torch.randn(7),
        torch.randn(12),
        torch.randn(3, 4),
    ],
    "more than a run": [torch.randn(4096) for _ in range(70)],
    "large": [torch.randn(300, 1000), torch.randn(5)],
    "several types": [
        torch.randn(5, dtype=torch.float64),
        torch.randn(6),
        torch.randn(6, dtype=torch.bfloat16),
    ],
    "16 bits": [
        torch.full((3,), 250.0, dtype=torch.float16),
        torch.full((90000,), 0.5, dtype=torch.bfloat16),
    ],
    "not contiguous": [
        torch.randn(40, 30).t(),
        torch.randn(3, 8, 8, 8).to(memory_format=torch.channels_last),
    ],
    "some without": [None, torch.randn(3), None, torch.randn(3), torch.randn(8)],
    "empty": [torch.randn(0), torch.randn(3)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_norm_is_over_all_gradients_however_they_lie(kind: str) -> None:
    optimizer = optimizer_of(*KINDS[kind])
    gradients = GradientPass(optimizer)
    there = [gradient for gradient in KINDS[kind] if gradient is not None]
    assert gradients.norm() == pytest.approx(plain_norm(*there), rel=1e-6)
    expected = [0.0 if each is None else plain_norm(each) ** 2 for each in KINDS[kind]]
    assert squares(gradients, optimizer) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", set(KINDS) - {"scalars"})
def test_a_device_finds_the_same(kind: str) -> None:
    there = [gradient for gradient in KINDS[kind] if gradient is not None]
    assert norms_on_device(there).tolist() == pytest.approx([plain_norm(each) for each in there], rel=1e-5)


def test_complex_gradients_count_by_their_magnitude() -> None:
    optimizer = optimizer_of(torch.tensor([3 + 4j, 0j]), torch.tensor([5 + 12j, 0j]))
    assert GradientPass(optimizer).norm() == pytest.approx(math.sqrt(5**2 + 13**2))


def test_the_repeated_rows_of_sparse_gradients_are_added_first() -> None:
    tables = [nn.Embedding(10, 3, sparse=True) for _ in range(2)]
    torch.autograd.backward([table(torch.tensor([1, 1, 4])).sum() for table in tables])
    optimizer = torch.optim.SparseAdam([table.weight for table in tables])
    gradients = GradientPass(optimizer)
    for _ in range(2):
        assert gradients.norm() == pytest.approx(math.sqrt(2 * (3 * 2**2 + 3 * 1**2)))


def test_millions_of_squares_are_added_in_enough_digits() -> None:
    gradient = torch.randn(5 * SUM_ELEMENTS + 7)
    assert square_on_host(gradient) == pytest.approx(plain_norm(gradient) ** 2, rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", [0, 60, 99])
def test_one_number_that_is_not_finite_shows(bad: float, where: int) -> None:
    gradients = [torch.ones(3) for _ in range(99)] + [torch.ones(RUN_ELEMENTS + 1)]
    gradients[where][-1] = bad
    optimizer = optimizer_of(*gradients)
    norm = GradientPass(optimizer).norm()
    assert isinstance(norm, float)
    assert not math.isfinite(norm)
    finite = [math.isfinite(square) for square in squares(GradientPass(optimizer), optimizer)]
    assert finite == [number != where for number in range(100)]


def test_without_gradients_there_is_no_norm() -> None:
    gradients = GradientPass(optimizer_of(None, None))
    assert gradients.norm() is None
    assert gradients.squares({}, 0) is None
    assert GradientPass(torch.optim.SGD([{"params": []}], lr=0.1)).norm() is None


def test_gradients_that_come_and_go_are_found() -> None:
    optimizer = optimizer_of(torch.full((2,), 3.0), None)
    gradients = GradientPass(optimizer)
    first, second = optimizer.param_groups[0]["params"]
    assert gradients.norm() == pytest.approx(math.sqrt(18))
    first.grad, second.grad = None, torch.full((2,), 4.0)
    assert gradients.norm() == pytest.approx(math.sqrt(32))


def test_parameters_that_come_later_are_found() -> None:
    optimizer = optimizer_of(torch.full((1,), 3.0))
    gradients = GradientPass(optimizer)
    gradients.norm()
    optimizer.add_param_group({"params": [parameter_with(torch.full((1,), 4.0))]})
    assert gradients.norm() == 5.0
    optimizer.param_groups[0]["params"].append(parameter_with(torch.full((1,), 12.0)))
    assert gradients.norm() == 13.0
    optimizer.load_state_dict(optimizer.state_dict())
    assert gradients.norm() == 13.0


def test_a_parameter_that_takes_the_place_of_another_is_found() -> None:
    optimizer = optimizer_of(torch.full((1,), 3.0), torch.full((1,), 4.0))
    gradients = GradientPass(optimizer)
    assert gradients.norm() == 5.0
    optimizer.param_groups[0]["params"][0] = parameter_with(torch.full((2,), 3.0))
    assert gradients.norm() == pytest.approx(math.sqrt(9 + 9 + 16))


def test_a_model_that_is_moved_is_found_again() -> None:
    optimizer = optimizer_of(torch.ones(3))
    gradients = GradientPass(optimizer)
    assert isinstance(gradients.norm(), float)
    (parameter,) = optimizer.param_groups[0]["params"]
    moved = nn.Parameter(torch.empty(3, device="meta"))
    moved.grad = torch.empty(3, device="meta")
    torch.utils.swap_tensors(parameter, moved)  # type: ignore[no-untyped-call]  # as `module.to` may
    norm: Any = gradients.norm()
    assert norm.device.type == "meta"


def test_norms_of_host_and_device_are_joined_on_the_device() -> None:
    assert joined([3.0, 4.0]) == 5.0
    assert joined([]) is None
    on_device = torch.tensor(3.0)
    assert joined([on_device]) is on_device
    mixed: Any = joined([4.0, torch.tensor(3.0), 12.0])
    assert float(mixed) == 13.0
    elsewhere: Any = joined([4.0, torch.tensor(3.0, device="meta")])
    assert elsewhere.device.type == "meta"
