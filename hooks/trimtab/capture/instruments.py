"""The optional signals of a run, in one visible list, and what leads them through the optimizer's steps.

Every signal is off unless asked for (`trimtab.Signals`); docs/capture.md says what each costs. A step begins
with that of the first optimizer and ends with that of the last: one that a GradScaler skips is none. Of a
signal asked for every N steps, the steps N, 2 N, 3 N and so on are measured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from trimtab.capture.bundle import Bundle
from trimtab.capture.instrument import FAULTS, Instrument, in_the_open, is_compiled
from trimtab.capture.optimizer import OnError
from trimtab.signals import Signals

LOG = logging.getLogger("trimtab")

T = TypeVar("T")
Emit = Callable[[Bundle], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured; each list may be empty. `given` is the optimizer as `trimtab.watch()` got it."""

    models: list[Any]
    optimizers: list[Any]
    signals: Signals
    given: Any = None


def instruments(subject: Subject, emit: Emit, on_error: OnError) -> Instruments:
    """Return the instruments that were asked for, with their hooks in place.

    What is measured goes to `emit`, what goes wrong to `on_error(where, error)`.
    """
    asked = {name: every for name in INSTRUMENTS if (every := getattr(subject.signals, f"{name}_every"))}
    takes_hooks = [hasattr(item, "register_step_pre_hook") for item in subject.optimizers]
    if asked and not (takes_hooks and all(takes_hooks)):
        LOG.warning("trimtab: %s: not measured: give an optimizer that takes hooks", ", ".join(asked))
        asked = {}
    turns: list[Turns] = []
    for name, every in asked.items():
        try:
            instrument = INSTRUMENTS[name](subject)
        except FAULTS as error:  # a model that is not as models are: the other signals are measured
            on_error(name, error)
            continue
        if instrument is not None:
            turns.append(Turns(name, every, instrument, on_error))
    return Instruments(subject.optimizers, turns, emit)


def _param_norm(subject: Subject) -> Instrument:
    from trimtab.capture.parameter_norm import ParameterNorm
    from trimtab.capture.shards import shares_of

    shares = shares_of(subject.models, subject.optimizers, subject.given)
    return ParameterNorm(subject.optimizers, shares)


def _update_ratio(subject: Subject) -> Instrument:
    from trimtab.capture.blocks import parameter_layers
    from trimtab.capture.update_ratio import UpdateRatio

    return UpdateRatio(subject.optimizers, parameter_layers(subject.models, subject.signals.layers))


def _activations(subject: Subject) -> Instrument | None:
    from trimtab.capture.activations import Activations
    from trimtab.capture.blocks import blocks_of

    blocks = _heard("activations", subject.models, blocks_of)
    return Activations(blocks) if blocks else None


def _experts(subject: Subject) -> Instrument | None:
    from trimtab.capture.experts import Experts, routers_of

    routers = _heard("experts", subject.models, routers_of)
    return Experts(routers) if routers else None


def _heard(signal: str, models: list[Any], find: Callable[[Any], list[T]]) -> list[T]:
    """Return the parts of the models whose forward hooks tell of a signal; say so once if there are none."""
    why = "no hook runs in a compiled model"
    if not any(map(is_compiled, models)):
        if found := find(models):
            return found
        why = "the model has no such part" if models else "pass the model to watch()"
    LOG.warning("trimtab: %s: not measured: %s", signal, why)
    return []


INSTRUMENTS: Final[Mapping[str, Callable[[Subject], Instrument | None]]] = {
    "param_norm": _param_norm,
    "update_ratio": _update_ratio,
    "activations": _activations,
    "experts": _experts,
}
"""Each is asked for by the field of `Signals` that is named so, with `_every` at its end."""


class Turns:
    """One instrument and its turns: it measures every `every`-th step, until it fails."""

    def __init__(self, name: str, every: int, instrument: Instrument, on_error: OnError) -> None:
        self.over = False
        self._name = name
        self._every = every
        self._instrument = instrument
        self._on_error = on_error
        self._steps = 0
        self._due = False

    def enter_step(self) -> None:
        """A step begins."""
        self._due = (self._steps + 1) % self._every == 0
        if self._due:
            self._guarded(self._instrument.arm)

    def before(self) -> None:
        """The optimizer is about to step."""
        if self._due:
            self._guarded(self._instrument.before)

    def after(self, emit: Emit) -> None:
        """The optimizer has stepped."""
        self._steps += 1
        if self._due:
            self._guarded(lambda: self._tell(emit))

    def close(self) -> None:
        """Let model and optimizer go."""
        self.over, self._due = True, False
        self._instrument.close()

    def _tell(self, emit: Emit) -> None:
        for bundle in self._instrument.after():
            emit(bundle)

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except FAULTS as error:
            self.close()
            self._on_error(self._name, error)


class Instruments:
    """Hooks the first optimizer's step and the last one's, and leads the instruments by them."""

    def __init__(self, optimizers: list[Any], turns: list[Turns], emit: Emit) -> None:
        self._turns = turns
        self._emit = emit
        self._under_way = False
        self._hooks: list[Any] = []
        if turns:
            self._hooks = [
                optimizers[0].register_step_pre_hook(self._before),
                optimizers[-1].register_step_post_hook(self._after),
            ]
            self._enter_step()

    def close(self) -> None:
        """Take all hooks out of models and optimizers."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        for turns in self._turns:
            turns.close()
        self._turns = []

    def _enter_step(self) -> None:
        self._turns = [turns for turns in self._turns if not turns.over]
        for turns in self._turns:
            turns.enter_step()

    def _before(self, *_: Any) -> None:
        if not in_the_open():
            return
        if self._under_way:  # the last optimizer made no step since
            self._end_step()
        self._under_way = True
        for turns in self._turns:
            turns.before()

    def _after(self, *_: Any) -> None:
        if self._under_way and in_the_open():
            self._end_step()

    def _end_step(self) -> None:
        self._under_way = False
        for turns in self._turns:
            turns.after(self._emit)
        self._enter_step()
