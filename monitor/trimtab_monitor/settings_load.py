"""Puts the settings together: flag, else environment, else file, else default. Every mistake is named."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, SettingsError

from trimtab_monitor.settings import ENV_DELIMITER, ENV_PREFIX, Settings

DEFAULT_FILE: Final = Path("trimtab.toml")
_MAY_HOLD_SECRETS: Final = (
    ("alerts",),
    ("energy", "electricity_maps"),
    ("energy", "uk"),
    ("energy", "watttime"),
)

_UNKNOWN_KEY: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})

Location = tuple[str | int, ...]
Fields = Mapping[str, FieldInfo]


class SettingsInvalid(Exception):  # noqa: N818 - a state, told as such
    """Some settings are wrong; the message has a line for each: where, what, the value and the remedy."""


def load_settings(
    config: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    flag_names: Mapping[str, str] | None = None,
) -> Settings:
    """Load the settings.

    Args:
        config: the file; none: `trimtab.toml` in the working directory, if it is there.
        flags: what was given on the command line, nested as the settings are.
        flag_names: what the flag of a setting is called (`energy.price_per_kwh` is `--price`); it is
            called as the setting itself where nothing stands here.

    Raises:
        SettingsInvalid: the file cannot be read, or a key or a value is wrong.
    """
    path = config if config is not None else DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    text = "" if path is None else _read(path)
    of_file = _parse(text, path)
    merged = _merged(_merged(of_file, _of_environment()), flags or {})
    try:
        return Settings(**merged)
    except ValidationError as error:
        where = _Places(path, text, flags or {}, flag_names or {})
        raise SettingsInvalid("\n".join(_told(each, where) for each in error.errors())) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsInvalid(
            f"{path}: cannot be read ({error.strerror}); give a file that is there"
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8") from None


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path}: is not TOML: {error}") from None


def _of_environment() -> dict[str, Any]:
    for name in os.environ:
        head, delimiter, _ = name.upper().removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if name.upper().startswith(ENV_PREFIX) and delimiter and head.lower() not in Settings.model_fields:
            raise SettingsInvalid(
                f"environment {name}: unknown; {_known(Settings.model_fields, head.lower())}"
            )
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise SettingsInvalid(
            f"environment: {error}; give a single value, or JSON for a list or table"
        ) from None


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


class _Places:
    """Where a value came from: flag, environment, or a line of the file."""

    def __init__(
        self, path: Path | None, text: str, flags: Mapping[str, Any], flag_names: Mapping[str, str]
    ) -> None:
        self._path, self._lines = path, text.splitlines()
        self._flags, self._flag_names = flags, flag_names

    def name(self, location: Location) -> str:
        if self._is_flag(location):
            return self._flag_names.get(".".join(map(str, location)), f"--{location[-1]}")
        variable = ENV_PREFIX + ENV_DELIMITER.join(str(part).upper() for part in location)
        for depth in range(len(location), 0, -1):
            shorter = ENV_PREFIX + ENV_DELIMITER.join(str(part).upper() for part in location[:depth])
            if shorter in os.environ:
                return f"environment {shorter}"
        if self._path is None:
            return f"environment {variable}"
        line = self._line(location)
        return f"{self._path}:{line}" if line else str(self._path)

    def _is_flag(self, location: Location) -> bool:
        inside: Any = self._flags
        for part in location:
            if not isinstance(inside, Mapping) or part not in inside:
                return False
            inside = inside[part]
        return True

    def _line(self, location: Location) -> int | None:
        """The line that sets the deepest key of the location; none if it is not plain to see."""
        keys = [part for part in location if isinstance(part, str)]
        table = ""
        for number, line in enumerate(self._lines, start=1):
            header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
            if header:
                table = header[1]
                if table == ".".join(keys):
                    return number
            elif re.match(rf"\s*\"?{re.escape(keys[-1])}\"?\s*=", line) and table == ".".join(keys[:-1]):
                return number
        return None


def _told(error: ErrorDetails, places: _Places) -> str:
    location = error["loc"]
    key = ".".join(map(str, location))
    where = places.name(location)
    if error["type"] in _UNKNOWN_KEY:
        return f"{where}: {key}: unknown key; {_known(_group_at(location[:-1]), str(location[-1]))}"
    given = "" if _may_hold_secrets(location) else f" {error['input']!r}:"
    message = error["msg"].removeprefix("Value error, ")
    return f"{where}: {key}:{given} {message[:1].lower()}{message[1:]}"


def _may_hold_secrets(location: Location) -> bool:
    """Whether a value there has a secret in it: it stands among them, or they stand in it."""
    return any(
        location[: len(secret)] == secret or secret[: len(location)] == location
        for secret in _MAY_HOLD_SECRETS
    )


def _group_at(location: Location) -> Fields:
    """The fields of the group of settings at a location, else of the nearest above it."""
    group: Fields = Settings.model_fields
    for part in location:
        field = group.get(str(part))
        inner = {} if field is None else fields_of(field)
        if not inner:
            break
        group = inner
    return group


def fields_of(field: FieldInfo) -> Fields:
    """The fields of the group of settings that a field holds; none if it holds a single value."""
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    groups: Iterator[Fields] = (
        kind.__pydantic_fields__ for kind in kinds if hasattr(kind, "__pydantic_fields__")
    )
    return next(groups, {})


def _known(group: Fields, given: str) -> str:
    near = difflib.get_close_matches(given, group, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known keys: {', '.join(sorted(group))}"
