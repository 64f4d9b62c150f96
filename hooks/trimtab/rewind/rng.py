"""The random states that a training step draws from: Python's, NumPy's, torch's on CPU and CUDA.

Only what the process has already loaded is read, and CUDA only once it is in use. A `torch.Generator` of the
user's own, such as a DataLoader's, is not among them.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class RandomState:
    """The states at one moment; None or empty where the library is not loaded or the device not in use."""

    python: tuple[Any, ...]
    numpy: dict[str, Any] | None
    torch_cpu: Tensor | None
    cuda: tuple[Tensor, ...]


def capture() -> RandomState:
    """Read every random state; draws nothing from any of them."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    return RandomState(
        python=random.getstate(),
        numpy=numpy.random.get_state(legacy=False) if numpy else None,
        torch_cpu=torch.get_rng_state() if torch else None,
        cuda=tuple(torch.cuda.get_rng_state_all()) if torch and torch.cuda.is_initialized() else (),
    )


def restore(state: RandomState) -> None:
    """Put every captured random state back; libraries and devices that were not captured are left alone."""
    random.setstate(state.python)
    if state.numpy is not None:
        sys.modules["numpy"].random.set_state(state.numpy)
    if state.torch_cpu is not None:
        sys.modules["torch"].set_rng_state(state.torch_cpu)
    for index, cuda_state in enumerate(state.cuda):
        sys.modules["torch"].cuda.set_rng_state(cuda_state, index)
