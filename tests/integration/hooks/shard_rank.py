"""One rank of two that train small models, sharded in several ways; prints what is captured as JSON.

Every model is the same, from one seed, and sees the same data on each rank, so that its gradient is known: it
is that of the model on one process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from trimtab.capture.optimizer import OptimizerCapture
from trimtab.signals import Signals

RANKS = 2


class Net(nn.Module):
    """Two matrices between which a norm stands that tensor parallelism leaves whole on each rank."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(6)
        self.down = nn.Linear(8, 6)

    def forward(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.down(self.up(self.norm(inputs)).relu())
        return out


class Communication(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is said between ranks."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += any(
            name in str(func) for name in ("c10d", "all_reduce", "all_gather", "reduce_scatter")
        )
        return func(*args, **(kwargs or {}))


def plain(net: Net) -> nn.Module:
    return net


def data_parallel(net: Net) -> nn.Module:
    return DistributedDataParallel(net)


def fsdp2(net: Net) -> nn.Module:
    fully_shard(net, mesh=init_device_mesh("cpu", (RANKS,)))
    return net


def replicated(net: Net) -> nn.Module:
    """Hybrid sharding over two nodes of one rank each: every rank holds all."""
    fully_shard(net, mesh=init_device_mesh("cpu", (RANKS, 1), mesh_dim_names=("nodes", "ranks")))
    return net


def tensor_parallel(net: Net) -> nn.Module:
    """The norm's parameters stay plain tensors, alike on both ranks."""
    plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
    return parallelize_module(net, init_device_mesh("cpu", (RANKS,)), plan)


def fsdp1(net: Net) -> nn.Module:
    return FullyShardedDataParallel(net, use_orig_params=True, device_id=torch.device("cpu"))


def fsdp1_flat(net: Net) -> nn.Module:
    return FullyShardedDataParallel(net, use_orig_params=False, device_id=torch.device("cpu"))


WAYS: tuple[Callable[[Net], nn.Module], ...] = (
    plain,
    data_parallel,
    fsdp2,
    replicated,
    tensor_parallel,
    fsdp1,
    fsdp1_flat,
)


def captured(way: Callable[[Net], nn.Module]) -> dict[str, Any]:
    """Train one step; return the norm if this rank knows it, what it sends beside, and what was said."""
    torch.manual_seed(7)
    model = way(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    told: list[str] = []
    capture = OptimizerCapture(
        optimizer, None, lambda _, error: told.append(repr(error)), model, Signals(layer_norms_every=1)
    )
    torch.autograd.backward([model(torch.linspace(-1, 1, 24).reshape(4, 6)).pow(2).sum()])
    with Communication() as said:
        for hook in list(optimizer._optimizer_step_pre_hooks.values()):
            hook(optimizer, (optimizer,), {})
    beside = {
        name: value
        for bundle in capture.bundles
        for name, value in zip(bundle.names, bundle.tensor.tolist(), strict=True)
    }
    with Communication() as by_full_norms:
        for each in model.parameters():
            if hasattr(each.grad, "full_tensor"):
                torch.linalg.vector_norm(each.grad).full_tensor()
    return {
        "norm": capture.take_grad_norm(),
        "beside": beside,
        "said": said.count,
        "said_by_full_norms": by_full_norms.count,
        "told": told,
    }


@contextmanager
def group() -> Iterator[None]:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=size)
    try:
        yield
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    with group():
        found = {way.__name__: captured(way) for way in WAYS}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)
