"""Memory of the host that a device copies to by itself, and in which the arrival of a copy can be seen.

A slot is filled with a marker before a copy: a signalling NaN with bits of its own, which no arithmetic
yields. Aligned stores of an element are not torn, so when no element is the marker any more, all have come.
Nothing here calls the device but `provide`, which makes memory the first time that a size is seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

MARKERS: Final = {
    torch.float64: (torch.int64, 0x7FF5_7219_7AB0_0E5D),
    torch.float32: (torch.int32, 0x7FA1_7AB5),
    torch.bfloat16: (torch.int16, 0x7FA5),
    torch.float16: (torch.int16, 0x7D5A),
}
"""The dtypes that slots are made for; of each the dtype of its bits, and the bits of the marker."""

_SLAB_VALUES: Final = 1024
_FEWEST_SLOTS: Final = 4

HostMemory = Callable[[int, int, torch.dtype], Tensor]


class Slot:
    """Room for the values of one copy, or for fewer."""

    __slots__ = ("_bits", "_marker", "free", "values")

    def __init__(self, values: Tensor, free: deque[Slot]) -> None:
        of_bits, self._marker = MARKERS[values.dtype]
        self.values = values
        self.free = free
        self._bits = values.view(of_bits)
        self.clear()

    def clear(self) -> None:
        """Fill it with the marker."""
        self._bits.fill_(self._marker)

    def is_full(self, count: int) -> bool:
        """Tell whether so many values have arrived."""
        return self._marker not in self._bits.tolist()[:count]


class Slots:
    """Slots by dtype and by size, a power of two: so there are few kinds, whatever sizes are asked for.

    `provide` is for the training thread, outside any capture; `pop` and `push` for the one that copies.
    """

    def __init__(self, host_memory: HostMemory) -> None:
        self._host_memory = host_memory
        self._free: dict[tuple[torch.dtype, int], deque[Slot]] = {}

    def provide(self, dtype: torch.dtype, count: int) -> None:
        """Make memory for copies of so many values, unless there is some."""
        key = dtype, _size(count)
        if key not in self._free:
            self._free[key] = self._made(*key)

    def pop(self, dtype: torch.dtype, count: int) -> Slot | None:
        """Return a slot for so many values; None: all are in use."""
        free = self._free[dtype, _size(count)]
        return free.popleft() if free else None

    def push(self, slot: Slot) -> None:
        """Take a slot back that no copy is on its way to."""
        slot.clear()
        slot.free.append(slot)

    def _made(self, dtype: torch.dtype, size: int) -> deque[Slot]:
        rows = max(_FEWEST_SLOTS, _SLAB_VALUES // size)
        free: deque[Slot] = deque()
        with torch.inference_mode(False):  # a step in inference mode would make what only it may write to
            slab = self._host_memory(rows, size, dtype)
            free.extend(Slot(row, free) for row in slab.unbind(0))
        return free


def _size(count: int) -> int:
    return 1 << (count - 1).bit_length()
