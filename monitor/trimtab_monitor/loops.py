"""Calling into an event loop from other threads, some of which outlive it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVarTuple

Arguments = TypeVarTuple("Arguments")


def call_in(
    loop: asyncio.AbstractEventLoop, callback: Callable[[*Arguments], object], *args: *Arguments
) -> None:
    """Call `callback` in the loop soon; in one that has ended nobody waits for it any more."""
    with contextlib.suppress(RuntimeError):  # asyncio's word for a loop that is closed
        loop.call_soon_threadsafe(callback, *args)
