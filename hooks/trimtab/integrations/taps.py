"""Sees what the methods of one object return, and when they run, without changing what they do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class Taps:
    """Methods of single objects that are listened to, until `remove`; their classes are left as they are.

    Where somebody else wraps such a method in their own meanwhile, that stays, and nothing is seen through it
    after `remove`.
    """

    def __init__(self) -> None:
        self._restores: list[Callable[[], None]] = []
        self._listening = object()

    def results(self, owner: Any, name: str, see: Callable[[Any], None]) -> None:
        """Call `see` with whatever the method `name` of `owner` returns."""
        method, listening = getattr(owner, name), self._listening

        @functools.wraps(method)
        def tapped(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if listening is self._listening:
                see(result)
            return result

        self._put(owner, name, tapped)

    def errors(self, owner: Any, name: str, see: Callable[[BaseException], None]) -> None:
        """Call `see` with whatever the method `name` of `owner` raises, and let it go on its way."""
        method, listening = getattr(owner, name), self._listening

        @functools.wraps(method)
        def tapped(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except BaseException as error:
                if listening is self._listening:
                    see(error)
                raise

        self._put(owner, name, tapped)

    def calls(self, owner: Any, name: str, around: Callable[..., AbstractContextManager[None]]) -> None:
        """Run each call of the method `name` of `owner` within `around`, but no call within a call.

        `around` gets the arguments of the call.
        """
        method, listening = getattr(owner, name), self._listening
        running = False

        @functools.wraps(method)
        def tapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal running
            if running or listening is not self._listening:
                return method(*args, **kwargs)
            running = True
            try:
                with around(*args, **kwargs):
                    return method(*args, **kwargs)
            finally:
                running = False

        self._put(owner, name, tapped)

    def remove(self) -> None:
        """Let the methods run untouched again; the last that was tapped first."""
        self._listening = object()
        while self._restores:
            self._restores.pop()()

    def _put(self, owner: Any, name: str, tapped: Callable[..., Any]) -> None:
        own = vars(owner)
        before = own.get(name)  # a method that somebody else has put there

        def restore() -> None:
            if own.get(name) is not tapped:
                return
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

        self._restores.append(restore)
        setattr(owner, name, tapped)
