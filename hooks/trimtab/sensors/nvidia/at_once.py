"""Asks several boards the same at once: one after another, a driver of 100 ms a call takes seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def at_once(ask: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return what `ask` says of each item, in their order; several are each asked in a thread of its own.

    The threads are daemons: a driver that never answers must not hold up the end of the process. What `ask`
    raises is raised here.
    """
    if len(items) < 2:
        return [ask(item) for item in items]
    answers: dict[int, R] = {}
    errors: list[Exception] = []
    works = [partial(_answer, ask, number, item, answers, errors) for number, item in enumerate(items)]
    threads = [threading.Thread(target=work, name="trimtab-nvml-probe", daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
    return [answers[number] for number in range(len(items))]


def _answer(
    ask: Callable[[T], R], number: int, item: T, answers: dict[int, R], errors: list[Exception]
) -> None:
    try:
        answers[number] = ask(item)
    except Exception as error:  # noqa: BLE001  (raised again by who waits)
        errors.append(error)
