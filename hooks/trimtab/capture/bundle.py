"""Values that lie together on one device, so that one copy brings them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Metrics of one step by name, in a tensor of shape (len(names),) that nobody writes to any more."""

    names: tuple[str, ...]
    tensor: Tensor
