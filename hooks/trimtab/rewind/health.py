"""Whether a model is fit to go back to."""

from __future__ import annotations

from typing import Any

from trimtab.capture.one_or_many import as_list


def parameters_are_finite(model: Any) -> bool:
    """Tell whether every parameter that this process holds is finite; waits for the device.

    `model` is a module or a list of them. Of a sharded parameter the local shard is looked at: no collective.
    """
    from trimtab.rewind import host_copy

    return all(
        host_copy.all_finite(_local(parameter.detach()))
        for module in as_list(model)
        for parameter in module.parameters()
    )


def count_parameters(model: Any) -> int:
    """Return how many parameters a module, or a list of them, has."""
    return sum(parameter.numel() for module in as_list(model) for parameter in module.parameters())


def _local(tensor: Any) -> Any:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
