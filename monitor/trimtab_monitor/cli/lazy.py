"""Commands whose modules are imported when they are asked for: who replays a file waits for no web server."""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


class LazyCommands(UserDict[str, Any]):
    """Commands by name, in their order. A module's name stands for a command until that is looked up.

    A module has either `command`, a function, or `app`, a group of commands.
    """

    def __getitem__(self, name: str) -> Any:
        found = self.data[name]
        if isinstance(found, str):
            found = self.data[name] = _load(name, found)
        return found


class LazyGroup(TyperGroup):
    """A group that tells the names of its commands without loading them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in their order."""
        del ctx
        return list(self.commands)


def _load(name: str, module_name: str) -> Any:
    module = import_module(module_name)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(module.command)
        return typer.main.get_command(app)
    group = typer.main.get_group(app)
    group.name = name
    return group
