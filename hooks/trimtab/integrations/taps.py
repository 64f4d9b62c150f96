"""Sees what the methods of one object return, and when they run, without changing what they do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class Taps:
    """Methods of single objects that are listened to, until `remove`; their classes are left as they are."""

    def __init__(self) -> None:
        self._restores: list[Callable[[], None]] = []

    def results(self, owner: Any, name: str, see: Callable[[Any], None]) -> None:
        """Call `see` with whatever the method `name` of `owner` returns."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def tapped(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            see(result)
            return result

        self._put(owner, name, tapped)

    def errors(self, owner: Any, name: str, see: Callable[[BaseException], None]) -> None:
        """Call `see` with whatever the method `name` of `owner` raises, and let it go on its way."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def tapped(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except BaseException as error:
                see(error)
                raise

        self._put(owner, name, tapped)

    def calls(self, owner: Any, name: str, around: Callable[..., AbstractContextManager[None]]) -> None:
        """Run each call of the method `name` of `owner` within `around`, but no call within a call.

        `around` gets the arguments of the call.
        """
        method = getattr(owner, name)
        running = False

        @functools.wraps(method)
        def tapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal running
            if running:
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
        while self._restores:
            self._restores.pop()()

    def _put(self, owner: Any, name: str, tapped: Callable[..., Any]) -> None:
        own = vars(owner)
        if name in own:  # somebody else has put a method of their own there
            self._restores.append(functools.partial(setattr, owner, name, own[name]))
        else:
            self._restores.append(functools.partial(delattr, owner, name))
        setattr(owner, name, tapped)
