"""What a rank holds of parameters that are spread over ranks: FSDP, tensor parallelism, ZeRO.

Such a rank sends the sum of the squares of what it holds, and the collector adds the ranks' up: no collective
in the job. So what several ranks hold alike counts on each of them by its part: one copy in all. No operation
is ever called on a DTensor, as it would begin a collective: only on the tensor that the rank has of it.

- DTensor (FSDP2, tensor parallelism): divided by how many ranks of its mesh hold the same share.
- Plain parameters beside DTensors: by the size of the largest mesh, all of which is taken to hold them.
- FSDP1: by how many nodes hold the same share (hybrid sharding), else each share is one of a kind.
- Behind the sharding optimizers of DeepSpeed and Megatron: each share is one of a kind.

Replicas that no mesh knows of, as those of DistributedDataParallel around tensor parallelism, count each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, Final

from trimtab.capture.one_or_many import as_list

_SHARDING_OPTIMIZERS: Final = frozenset(
    ("DeepSpeedZeroOptimizer", "DeepSpeedZeroOptimizer_Stage3", "DistributedOptimizer")
)


class PartialGradientError(ValueError):
    """A gradient that is still to be added up over ranks: none of them knows its norm."""


class Shares:
    """By how much what this rank holds of a parameter counts in the sum over all ranks."""

    def __init__(self, parameters: Iterable[Any], copies: int = 1) -> None:
        meshes = [each.device_mesh.size() for each in parameters if is_dtensor(each)]
        self._plain = 1.0 / max(meshes) if meshes else 1.0 / copies

    def weight(self, parameter: Any) -> float:
        """Return one over the number of ranks that hold the same as this one.

        Raises:
            PartialGradientError: this rank's gradient is only one term of the sum over ranks.
        """
        if not is_dtensor(parameter):
            return self._plain
        gradient = parameter.grad
        held = parameter if gradient is None or not is_dtensor(gradient) else gradient
        if any(placement.is_partial() for placement in held.placements):
            raise PartialGradientError(
                f"a gradient placed as {held.placements} is not added up yet: pass grad_norm= to watch.step"
            )
        alike = [number for number, placement in enumerate(held.placements) if placement.is_replicate()]
        return 1.0 / prod([int(held.device_mesh.size(number)) for number in alike])


def shares_of(models: Any, optimizers: Sequence[Any], given: Any) -> Shares | None:
    """Return what counts how much where ranks hold shares; None: each rank has the whole gradient.

    `optimizers` are the real ones, `given` what `trimtab.watch()` got, wrappers included.
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    parameters = [each for group in groups for each in group["params"]]
    modules = [module for model in as_list(models) for module in getattr(model, "modules", list)()]
    wrapped = [module for module in modules if _is_fsdp(module)]
    behind = any(_shards_by_itself(item) for item in as_list(given))
    if not behind and not wrapped and not any(is_sharded(each) for each in parameters):
        return None
    return Shares(parameters, max((_copies(module) for module in wrapped), default=1))


def is_dtensor(tensor: Any) -> bool:
    """Tell whether a tensor is one rank's view of a DTensor."""
    return hasattr(tensor, "full_tensor")


def local(tensor: Any) -> Any:
    """Return what this rank has of a tensor; the call begins no communication."""
    return tensor._local_tensor if is_dtensor(tensor) else tensor


def is_sharded(parameter: Any) -> bool:
    """Tell whether a parameter is a share of one that is spread over ranks (FSDP, DTensor)."""
    return is_dtensor(parameter) or hasattr(parameter, "_is_flat_param")


def _is_fsdp(module: Any) -> bool:
    """Tell whether a module is FSDP1's wrapper and shards: its parameters may not show it."""
    strategy = getattr(module, "sharding_strategy", None)
    is_wrapper = any(base.__name__ == "FullyShardedDataParallel" for base in type(module).__mro__)
    return is_wrapper and getattr(strategy, "name", "") != "NO_SHARD"


def _copies(module: Any) -> int:
    """How many nodes hold the same shares: FSDP1's hybrid sharding."""
    between_nodes = getattr(module, "_inter_node_pg", None)
    return int(between_nodes.size()) if between_nodes is not None else 1


def _shards_by_itself(optimizer: Any) -> bool:
    """Tell whether a wrapper around an optimizer is one that gives each rank a share of the parameters."""
    while optimizer is not None:
        if any(base.__name__ in _SHARDING_OPTIMIZERS for base in type(optimizer).__mro__):
            return True
        optimizer = getattr(optimizer, "optimizer", None)
    return False
