"""How long a rank works on a step by itself, so that the one for which all others wait can be told.

Ranks that train together all take the same time for a step: they wait for each other to exchange gradients.
A rank's own time goes from the end of one exchange (the optimizer begins its step) to when its gradients
for the next are there (the first parameter, whose gradient comes last): optimizer, data, forward, backward.

In host memory each step is timed, by the clock. On a CUDA device it is one step a second, by events, which
wait for nothing. What is sharded (FSDP) is exchanged all along, and not measured, nor is an optimizer whose
step is compiled.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from trimtab.capture.one_or_many import as_list
from trimtab.capture.optimizer import OnError, unwrapped
from trimtab.capture.shards import is_sharded

PERIOD_S: Final = 1.0
"""How often a value is handed out, in seconds; it is the median of the steps since the last."""

REMEMBERED_STEPS: Final = 64


Clock = Callable[[], float]


class OwnTime(Protocol):
    """A rank's own time a step."""

    def take(self) -> float | None:
        """Return the own seconds of a recent step, at most once a period; None: nothing new. Never waits."""

    def close(self) -> None:
        """Let model and optimizer go."""


class Event(Protocol):
    """A point in a device's work, as `torch.cuda.Event` is."""

    def record(self) -> None:
        """Put it after the work queued so far on the current stream."""

    def query(self) -> bool:
        """Tell whether the device has come so far."""

    def elapsed_time(self, end_event: Any) -> float:
        """Return the milliseconds from this one to another, both of which were reached."""


class NullOwnTime:
    """Stands in where there is nobody to wait for, or nothing to measure by."""

    def take(self) -> float | None:
        """Return None."""
        return None

    def close(self) -> None:
        """Do nothing."""


class Timer(Protocol):
    """Times what lies between the end of an exchange and the next gradients; never waits."""

    def exchanged(self) -> None:
        """The exchange of gradients is over."""

    def ready(self) -> None:
        """This rank's gradients are there; of several calls between two exchanges the last counts."""

    def read(self) -> list[float]:
        """Return what was timed since the last call, in seconds."""


class HookedOwnTime:
    """Listens to the first parameter of a model and to an optimizer.

    What goes wrong goes to `on_error(where, error)`, never into the training step, and ends it.
    """

    def __init__(
        self, parameter: Any, optimizer: Any, timer: Timer, on_error: OnError, clock: Clock = time.monotonic
    ) -> None:
        self._timer = timer
        self._on_error = on_error
        self._clock = clock
        self._taken = clock()
        self._failed = False
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(self._ready),
            optimizer.register_step_pre_hook(self._exchanged),
        ]

    def take(self) -> float | None:
        """Return the median own seconds of the steps since the last call, at most once a period."""
        now = self._clock()
        if now < self._taken + PERIOD_S or self._failed or not self._hooks:
            return None
        try:
            values = self._timer.read()
        except RuntimeError as error:  # as below
            self._fail(error)
            return None
        if not values:
            return None
        self._taken = now
        return statistics.median(values)

    def close(self) -> None:
        """Take the hooks out of model and optimizer."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _ready(self, *_: Any) -> None:
        if _is_compiled():
            return
        if self._failed:
            return
        try:
            self._timer.ready()
        except RuntimeError as error:  # whatever a device cannot do
            self._fail(error)

    def _exchanged(self, *_: Any) -> None:
        if _is_compiled():
            return
        if self._failed:
            return
        try:
            self._timer.exchanged()
        except RuntimeError as error:  # as above
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failed = True  # the hooks stay, idle: torch is going through them
        self._on_error("own time", error)


class HostTimer:
    """Times work in host memory by the clock."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._began: float | None = None
        self._own: float | None = None
        self._values: deque[float] = deque(maxlen=REMEMBERED_STEPS)

    def exchanged(self) -> None:
        """The exchange is over: keep what was timed before it, and begin anew."""
        if self._own is not None:
            self._values.append(self._own)
        self._began, self._own = self._clock(), None

    def ready(self) -> None:
        """The gradients are there."""
        if self._began is not None:
            self._own = self._clock() - self._began

    def read(self) -> list[float]:
        """Return what was timed since the last call, in seconds."""
        values: list[float] = []
        while self._values:
            values.append(self._values.popleft())
        return values


class CudaTimer:
    """Times one step at a time on a CUDA device, whose work the host only queues.

    Nothing is timed while a CUDA graph is captured: the events would become part of it. They are asked by
    the thread that trains, and not by the one that reads: asked by another thread than captures, they spoil
    the graph.
    """

    def __init__(self, began: Event, ended: Event, is_capturing: Callable[[], bool]) -> None:
        self._began, self._ended = began, ended
        self._is_capturing = is_capturing
        self._stage = 0
        """0: wanted, 1: begun, 2: gradients came, 3: over, 4: timed and to be read."""
        self._seconds = 0.0

    def exchanged(self) -> None:
        """The work queued so far ends with the exchange."""
        if self._stage == 2:
            self._stage = 3
        elif self._stage == 4 or self._is_capturing():
            return
        elif self._stage == 3:
            self._time()
        else:
            self._began.record()
            self._stage = 1

    def ready(self) -> None:
        """The work queued so far ends with this rank's gradients."""
        if self._stage in (1, 2) and not self._is_capturing():
            self._ended.record()
            self._stage = 2

    def read(self) -> list[float]:
        """Return the step that was timed; then the next may be. On any thread."""
        if self._stage != 4:
            return []
        seconds = self._seconds
        self._stage = 0
        return [seconds]

    def _time(self) -> None:
        """Time the step that is over, once the device has come so far."""
        if self._ended.query():
            self._seconds = self._began.elapsed_time(self._ended) / 1000.0
            self._stage = 4


def own_time(model: Any, optimizer: Any, world_size: int, on_error: OnError) -> OwnTime:
    """Return what measures a rank's own time; nothing is measured of a run of one rank."""
    models, optimizers = as_list(model), [unwrapped(item) for item in as_list(optimizer)]
    if world_size < 2 or not models or not optimizers:
        return NullOwnTime()
    parameter = next((each for each in models[0].parameters() if each.requires_grad), None)
    can_hook = hasattr(parameter, "register_post_accumulate_grad_hook")
    if not can_hook or is_sharded(parameter) or not hasattr(optimizers[0], "register_step_pre_hook"):
        return NullOwnTime()
    timer = _timer_for(getattr(getattr(parameter, "device", None), "type", ""))
    return NullOwnTime() if timer is None else HookedOwnTime(parameter, optimizers[0], timer, on_error)


def _is_compiled() -> bool:
    """Tell whether a compiler takes down what is done now: a clock has no place in what it makes of it."""
    import torch

    return torch.compiler.is_compiling()


def _timer_for(device: str) -> Timer | None:
    if device == "cpu":
        return HostTimer()
    if device != "cuda":
        return None
    import torch

    began: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    ended: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    return CudaTimer(began, ended, torch.cuda.is_current_stream_capturing)
