"""What has to come back for a run to go on as if it had never left a step.

Parameters, buffers and extra state of the models; the optimizers' state and groups; the schedulers; the
gradient scaler; the random states. `read` returns it by reference, `write` puts a copy back in place:
parameters keep their identity, so that optimizers, wrappers and compiled graphs that hold them stay valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trimtab.capture.one_or_many import as_list
from trimtab.rewind import host_copy, rng

State = dict[str, Any]


class TrainingState:
    """The live objects of a run, read and written as one.

    Each argument may be None, one object or a list of them; `scaler` is one GradScaler or None. A compiled
    model and wrappers such as Accelerate's are seen through.
    """

    def __init__(self, model: Any, optimizer: Any, scheduler: Any, scaler: Any) -> None:
        self._models: list[nn.Module] = [getattr(item, "_orig_mod", item) for item in as_list(model)]
        self.optimizers = as_list(optimizer)
        self.schedulers = as_list(scheduler)
        self._scaler = scaler

    def read(self) -> State:
        """Return the state as it is now, by reference: copy it before the next step."""
        return {
            "models": [_read_model(model) for model in self._models],
            "loose": self._loose_parameters(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "scaler": self._scaler.state_dict() if self._scaler is not None else None,
            "rng": rng.capture(),
        }

    def mismatch(self, saved: State) -> str | None:
        """Say why a saved state does not fit the live objects any more; None: it fits."""
        for model, kept in zip(self._models, saved["models"], strict=True):
            reason = _difference(
                "parameter", dict(model.named_parameters()), kept["parameters"]
            ) or _difference("buffer", dict(model.named_buffers()), kept["buffers"])
            if reason:
                return reason
        for optimizer, kept in zip(self.optimizers, saved["optimizers"], strict=True):
            sizes = [len(group["params"]) for group in optimizer.param_groups]
            kept_sizes = [len(group["params"]) for group in kept["param_groups"]]
            if sizes != kept_sizes:
                return f"the optimizer's groups hold {sizes} parameters now and held {kept_sizes} then"
        return _difference("loose parameter", self._loose_parameters(), saved["loose"])

    @torch.no_grad()
    def write(self, saved: State) -> None:
        """Put a saved state back; gradients are set to None. The saved state stays as it is."""
        for model, saved_model in zip(self._models, saved["models"], strict=True):
            _write_model(model, saved_model)
        for name, parameter in self._loose_parameters().items():
            parameter.copy_(saved["loose"][name])
        for optimizer, saved_optimizer in zip(self.optimizers, saved["optimizers"], strict=True):
            _write_optimizer(optimizer, saved_optimizer)
        # After the optimizers: a scheduler may look at the rates that its optimizer has.
        for scheduler, saved_scheduler in zip(self.schedulers, saved["schedulers"], strict=True):
            scheduler.load_state_dict(host_copy.thaw(saved_scheduler))
        if self._scaler is not None:
            self._scaler.load_state_dict(host_copy.thaw(saved["scaler"]))
        self._drop_gradients()
        rng.restore(saved["rng"])

    def sharded(self) -> bool:
        """Tell whether parameters are spread over processes (DTensor): one process holds a part only."""
        return any(hasattr(parameter, "full_tensor") for parameter in self._parameters())

    def _drop_gradients(self) -> None:
        for parameter in self._parameters():
            parameter.grad = None

    def _parameters(self) -> Iterator[Tensor]:
        for model in self._models:
            yield from model.parameters()
        yield from self._loose_parameters().values()

    def _loose_parameters(self) -> dict[str, Tensor]:
        """Return what the optimizers train that belongs to no model given here."""
        known = {id(parameter) for model in self._models for parameter in model.parameters()}
        return {
            f"{i}.{j}.{k}": parameter
            for i, optimizer in enumerate(self.optimizers)
            for j, group in enumerate(optimizer.param_groups)
            for k, parameter in enumerate(group["params"])
            if id(parameter) not in known
        }


def is_healthy(saved: State) -> bool:
    """Tell whether a saved state may be gone back to.

    Every value of every parameter is finite. Buffers and optimizer state hold no NaN: there an infinity can
    be meant, as in an attention mask.
    """
    weights = [[model["parameters"] for model in saved["models"]], saved["loose"]]
    rest = [[model["buffers"] for model in saved["models"]], saved["optimizers"]]
    return all(host_copy.all_finite(tensor) for tensor in host_copy.tensors(weights)) and not any(
        host_copy.has_nan(tensor) for tensor in host_copy.tensors(rest)
    )


def _read_model(model: nn.Module) -> State:
    return {
        # Tied weights are listed once. Buffers that state_dict() leaves out are state too.
        "parameters": dict(model.named_parameters()),
        "buffers": dict(model.named_buffers()),
        "extra": {
            name: module.get_extra_state()
            for name, module in model.named_modules()
            if type(module).get_extra_state is not nn.Module.get_extra_state
        },
    }


def _difference(kind: str, live: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> str | None:
    now = {name: tuple(tensor.shape) for name, tensor in live.items()}
    then = {name: tuple(tensor.shape) for name, tensor in kept.items()}
    for name in [*now, *then]:
        if now.get(name) != then.get(name):
            return f"{kind} {name!r} has shape {now.get(name)} now and had {then.get(name)} then"
    return None


def _write_model(model: nn.Module, saved: State) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(saved["parameters"][name])
    for name, buffer in model.named_buffers():
        buffer.copy_(saved["buffers"][name])
    for name, extra in saved["extra"].items():
        model.get_submodule(name).set_extra_state(host_copy.thaw(extra))


def _write_optimizer(optimizer: Any, saved: State) -> None:
    state = getattr(optimizer, "state", None)
    if isinstance(state, dict):
        state.clear()  # first, so that the device need not hold it twice
    optimizer.load_state_dict(host_copy.thaw(saved))
    restored = optimizer.state_dict()["state"]
    for key, entry in saved["state"].items():
        for name, value in entry.items() if isinstance(entry, dict) else ():
            # load_state_dict casts to the parameter's type: float32 moments of a bfloat16 parameter would
            # be rounded.
            if isinstance(value, Tensor) and restored[key][name].dtype != value.dtype:
                restored[key][name] = value.to(restored[key][name].device, copy=True)
