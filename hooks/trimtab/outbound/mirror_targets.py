"""What a run can be mirrored to, by the methods that it has: no tracker is imported for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from trimtab.capture.one_or_many import as_list


@dataclass(frozen=True, slots=True)
class Target:
    """Where the values of a step are written: `write(step, values)`, then `flush()` at the end."""

    name: str
    write: Callable[[int, dict[str, float]], object]
    flush: Callable[[], object] = lambda: None


def targets_of(also: Any) -> tuple[Target, ...]:
    """Return how to write to each of the mirrors that were given, one or a list of them.

    Raises:
        ValueError: one has none of the methods; the message says which could do.
    """
    is_client = isinstance(also, tuple) and len(also) == 2 and isinstance(also[1], str)
    return tuple(target_of(each) for each in ([also] if is_client else as_list(also)))


def target_of(given: Any) -> Target:
    """Return how to write to a mirror: by its own methods, the most telling first."""
    name = _name_of(given)
    if isinstance(given, type | logging.Logger):  # a class is no writer, and a logger's `log` no tracker's
        raise _useless(name)
    flush = _flush_of(given)
    if isinstance(given, tuple) and len(given) == 2 and hasattr(given[0], "log_metric"):
        return Target(_name_of(given[0]), _client(*given))
    if callable(getattr(given, "add_scalar", None)):
        return Target(name, _scalars(given.add_scalar), flush)
    if callable(getattr(given, "log_metrics", None)):
        return Target(name, _mlflow(given) if hasattr(given, "active_run") else _metrics(given), flush)
    if callable(getattr(given, "log", None)):
        return Target(name, lambda step, values: given.log(values, step=step), flush)
    if callable(given):
        return Target(name, given, flush)
    raise _useless(name)


def _useless(name: str) -> ValueError:
    return ValueError(
        f"also: {name}: nothing can be written to it: give an object with add_scalar(tag, value, step), "
        "log_metrics(values, step) or log(values, step=...), the pair (MlflowClient, run id), "
        "or a function of (step, values)"
    )


def _scalars(add_scalar: Callable[[str, float, int], object]) -> Callable[[int, dict[str, float]], object]:
    def write(step: int, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            add_scalar(tag, value, step)

    return write


def _metrics(given: Any) -> Callable[[int, dict[str, float]], object]:
    return lambda step, values: given.log_metrics(values, step=step)


def _mlflow(module: Any) -> Callable[[int, dict[str, float]], object]:
    """Name the run: what is active is so in the thread that began it only."""
    active = module.active_run()
    if active is None:
        raise ValueError("also: mlflow has no active run: call mlflow.start_run() before trimtab.watch()")
    run = active.info.run_id
    return lambda step, values: module.log_metrics(values, step=step, run_id=run)


def _client(client: Any, run: str) -> Callable[[int, dict[str, float]], object]:
    def write(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            client.log_metric(run, name, value, step=step)

    return write


def _flush_of(given: Any) -> Callable[[], object]:
    flush = getattr(given, "flush", None)
    return flush if callable(flush) and not isinstance(given, ModuleType) else lambda: None


def _name_of(given: Any) -> str:
    if isinstance(given, ModuleType):
        return given.__name__
    named = given if hasattr(given, "__qualname__") else type(given)
    return f"{named.__module__}.{named.__qualname__}"
