"""Whether torch takes work down for later instead of doing it."""

from __future__ import annotations


def is_recorded() -> bool:
    """Tell whether a compiler or a CUDA graph records what this thread does now.

    CUDA is asked only where the job has begun to use it: a process that merely looks for it cannot fork
    children that do.
    """
    import torch

    if torch.compiler.is_compiling():
        return True
    begun: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return begun and torch.cuda.is_current_stream_capturing()
