"""What a copy from a CUDA device needs of torch, and nothing else: the one file that only a GPU can run.

Works for ROCm too, where torch gives the same names to HIP's.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from trimtab.capture.cuda_copies import Mark


class CudaRuntime:
    """One CUDA device. All but `copy` is for the training thread, `copy` for any."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._side: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def is_capturing(self) -> bool:
        """Tell whether what the calling thread queues now would become part of a graph."""
        return torch.cuda.is_current_stream_capturing()

    def mark(self, again: Mark | None) -> Mark:
        """Mark the point that the current stream of this thread has come to; `again`: a mark to use anew."""
        event: Mark = torch.cuda.Event() if again is None else again  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def host_memory(self, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """Return pinned memory; making it may stall the device, so it is made once."""
        return torch.empty((rows, columns), dtype=dtype, device="cpu", pin_memory=True)

    def copy(self, into: Tensor, source: Tensor, after: Mark) -> None:
        """Copy on the side stream, after a mark; both tensors must be contiguous and of one dtype.

        It lets the stream wait and it copies, but neither allocates nor asks: a graph that another thread
        captures meanwhile, in torch's default mode, would be spoilt by that. The device is entered first, as
        leaving a stream goes back to a device, and would make a context on one that is not in use.
        """
        with torch.cuda.device(self._device), torch.cuda.stream(self._side):
            self._side.wait_event(cast(torch.cuda.Event, after))
            into.copy_(source, non_blocking=True)
