"""What a copy costs the training thread, and how it arrives; with a pretended device for CUDA."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Iterator, Mapping, Sequence

import pytest
import torch
from torch import Tensor

from trimtab.capture.bundle import Bundle
from trimtab.capture.copies import Transfer
from trimtab.capture.cuda_copies import CudaCopier, gathered
from trimtab.capture.host_slots import MARKERS
from trimtab.testing_device import Log, PretendedRuntime, pretended, pretending


@pytest.fixture
def runtime() -> PretendedRuntime:
    return PretendedRuntime(at_once=False)


@pytest.fixture
def copier(runtime: PretendedRuntime) -> CudaCopier:
    return CudaCopier(runtime)


@pytest.fixture
def log(runtime: PretendedRuntime) -> Iterator[Log]:
    with pretending(runtime) as log:
        yield log


def three() -> dict[str, Tensor]:
    return {name: pretended(torch.tensor(float(at))) for at, name in enumerate(("loss", "grad_norm", "lr"))}


class Saved:
    """What a graph keeps of a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def loss_and_graph() -> tuple[Tensor, weakref.ref[Saved]]:
    """Return a loss, and what lives as long as the graph behind it."""
    saved: list[Saved] = []

    def pack(tensor: Tensor) -> Saved:
        saved.append(Saved(tensor))
        return saved[-1]

    weight = pretended(torch.tensor([1.0, 2.0])).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        return (weight * weight).sum(), weakref.ref(saved[-1])


def take(copier: CudaCopier, tensors: Mapping[str, Tensor], *bundles: Bundle) -> Sequence[Transfer]:
    transfers = copier.take(tensors, bundles)
    assert transfers is not None
    return transfers


def test_three_scalars_cost_one_kernel_and_one_mark(
    copier: CudaCopier, runtime: PretendedRuntime, log: Log
) -> None:
    for _ in range(10):
        log.clear()
        take(copier, three())
        assert log.ops == ["aten::stack"]
    assert [mark.recorded for mark in runtime.marks] == [1] * 10
    assert runtime.copies == []


def test_a_loss_with_a_graph_costs_a_view_more_and_keeps_no_graph(copier: CudaCopier, log: Log) -> None:
    loss, graph = loss_and_graph()
    log.clear()
    (transfer,) = take(copier, {"loss": loss, "grad_norm": pretended(torch.tensor(1.0))})
    assert log.ops == ["aten::detach", "aten::stack"]
    assert graph() is not None
    del loss
    gc.collect()
    assert graph() is None
    assert transfer.begin()


def test_a_dtype_more_costs_a_kernel_more(copier: CudaCopier, log: Log) -> None:
    loss = pretended(torch.tensor(2.0, dtype=torch.bfloat16))
    assert len(take(copier, three() | {"loss": loss})) == 2
    assert log.ops == ["aten::stack", "aten::stack"]


@pytest.mark.parametrize("dtype", [*MARKERS, torch.int64, torch.int32, torch.uint8, torch.bool])
def test_values_of_every_dtype_arrive(
    copier: CudaCopier, runtime: PretendedRuntime, dtype: torch.dtype
) -> None:
    (transfer,) = take(copier, {"a": torch.tensor(1, dtype=dtype), "b": torch.tensor([[0]], dtype=dtype)})
    assert transfer.begin()
    assert not transfer.done()
    runtime.arrive()
    assert transfer.done()
    assert transfer.values() == {"a": 1.0, "b": 0.0}


def test_whole_numbers_stay_exact(copier: CudaCopier, runtime: PretendedRuntime) -> None:
    (transfer,) = take(copier, {"tokens": torch.tensor(2**53 - 1)})
    transfer.begin()
    runtime.arrive()
    assert transfer.values() == {"tokens": 2.0**53 - 1}


def test_what_is_overwritten_afterwards_is_what_it_was(copier: CudaCopier, runtime: PretendedRuntime) -> None:
    loss = torch.tensor(1.5)
    (transfer,) = take(copier, {"loss": loss})
    loss.zero_()
    transfer.begin()
    runtime.arrive()
    assert transfer.values() == {"loss": 1.5}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_arrives(copier: CudaCopier, runtime: PretendedRuntime, value: float) -> None:
    (transfer,) = take(copier, {"loss": torch.tensor(value)})
    transfer.begin()
    runtime.arrive()
    assert transfer.done()
    assert transfer.values()["loss"] == pytest.approx(value, nan_ok=True)


def test_complex_values_are_refused() -> None:
    with pytest.raises(TypeError, match="complex64: pass its absolute value"):
        gathered({"z": torch.tensor(1j)})


def test_a_bundle_is_copied_as_it_lies(copier: CudaCopier, runtime: PretendedRuntime, log: Log) -> None:
    names = tuple(f"norm/{index}" for index in range(100))
    scalars, beside = take(copier, three(), Bundle(names, pretended(torch.arange(100.0))))
    assert log.ops == ["aten::stack", "aten::detach"]
    assert scalars.begin()
    assert beside.begin()
    assert [into.shape for into, _ in runtime.copies] == [(3,), (100,)]
    runtime.arrive()
    assert beside.values() == {f"norm/{index}": float(index) for index in range(100)}


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(3, 2)[:, 0],
        torch.tensor([0, 2, 4]),
        torch.tensor([0.0, 2.0, 4.0]).requires_grad_(),
    ],
)
def test_a_bundle_that_cannot_be_copied_as_it_lies_is_made_ready(
    copier: CudaCopier, runtime: PretendedRuntime, tensor: Tensor
) -> None:
    (transfer,) = take(copier, {}, Bundle(("a", "b", "c"), tensor))
    transfer.begin()
    runtime.arrive()
    assert transfer.values() == {"a": 0.0, "b": 2.0, "c": 4.0}


@pytest.mark.parametrize("tensor", [torch.zeros(3), torch.zeros(2, 1), torch.zeros(())])
def test_a_bundle_whose_names_do_not_fit_is_refused(copier: CudaCopier, tensor: Tensor) -> None:
    with pytest.raises(ValueError, match="2 names for a tensor of shape"):
        copier.take({}, [Bundle(("a", "b"), tensor)])


def test_a_copy_that_arrived_in_part_has_not_arrived(copier: CudaCopier, runtime: PretendedRuntime) -> None:
    (transfer,) = take(copier, {"a": torch.tensor(1.0), "b": torch.tensor(2.0)})
    transfer.begin()
    into, source = runtime.copies[0]
    into[1] = source[1]
    assert not transfer.done()
    into[0] = source[0]
    assert transfer.done()


def test_a_value_that_looks_like_the_marker_arrives_with_the_next(
    copier: CudaCopier, runtime: PretendedRuntime
) -> None:
    of_bits, marker = MARKERS[torch.float32]
    first = take(copier, {}, Bundle(("odd",), torch.tensor([marker], dtype=of_bits).view(torch.float32)))[0]
    first.begin()
    runtime.arrive()
    assert not first.done()
    second = take(copier, {"loss": torch.tensor(1.0)})[0]
    second.begin()
    assert not first.done()
    runtime.arrive()
    assert first.done()
    assert math.isnan(first.values()["odd"])
    assert second.values() == {"loss": 1.0}


def test_marks_and_memory_are_used_again(copier: CudaCopier, runtime: PretendedRuntime) -> None:
    for step in range(100):
        transfers = take(
            copier, {"loss": torch.tensor(float(step))}, Bundle(("a",), torch.ones(1).bfloat16())
        )
        assert all(transfer.begin() for transfer in transfers)
        runtime.arrive()
        assert transfers[0].values() == {"loss": float(step)}
        assert transfers[1].values() == {"a": 1.0}
    assert (len(runtime.marks), runtime.slabs) == (1, 2)


def test_copies_beyond_the_memory_wait_for_it(copier: CudaCopier, runtime: PretendedRuntime) -> None:
    bundle = Bundle(tuple(map(str, range(1000))), torch.ones(1000))
    transfers = [take(copier, {}, bundle)[0] for _ in range(5)]
    assert [transfer.begin() for transfer in transfers] == [True] * 4 + [False]
    runtime.arrive()
    transfers[0].values()
    assert transfers[4].begin()


def test_what_is_given_up_gives_its_memory_back_when_the_copy_is_over(
    copier: CudaCopier, runtime: PretendedRuntime
) -> None:
    transfer = take(copier, {"loss": torch.tensor(1.0)})[0]
    assert take(copier, {"loss": torch.tensor(1.0)})[0].drop(), "it never began"
    transfer.begin()
    assert not transfer.drop()
    runtime.arrive()
    assert transfer.drop()
    assert transfer.drop()


def test_a_copy_that_fails_gives_its_memory_back(copier: CudaCopier, runtime: PretendedRuntime) -> None:
    wide = Bundle(tuple(map(str, range(1000))), torch.ones(1000))

    class Failing(PretendedRuntime):
        def copy(self, into: Tensor, source: Tensor, after: object) -> None:
            raise RuntimeError("the device is gone")

    failing = CudaCopier(Failing())
    for _ in range(6):
        with pytest.raises(RuntimeError, match="gone"):
            take(failing, {}, wide)[0].begin()


def test_nothing_is_added_to_a_graph_that_is_captured(
    copier: CudaCopier, runtime: PretendedRuntime, log: Log
) -> None:
    runtime.capturing = True
    assert copier.take(three(), [Bundle(("a",), pretended(torch.ones(1)))]) is None
    assert (log.ops, runtime.slabs, runtime.marks) == ([], 0, [])


def test_a_step_in_inference_mode_is_copied_by_a_thread_that_is_not(
    copier: CudaCopier, runtime: PretendedRuntime
) -> None:
    with torch.inference_mode():
        transfer = take(copier, {"loss": torch.tensor(1.0) * 2})[0]
    transfer.begin()
    runtime.arrive()
    assert transfer.values() == {"loss": 2.0}
