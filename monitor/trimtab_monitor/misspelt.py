"""Environment variables that look like settings of the collector, and set nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final

from trimtab_monitor.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from trimtab_monitor.settings_load import Fields, fields_of

_LIKENESS: Final = 0.75
"""How alike two names are (1: the same) where one is taken for the other, mis-spelt."""


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """Tell each variable that looks like a setting without being one, with the name that was meant.

    Variables with the delimiter in them are none of these: `load_settings` refuses those that it does not
    know. The variables of jobs look like no setting.
    """
    known = {_plain(name): name for name in _variables(Settings.model_fields, ENV_PREFIX)}
    return [told for name in environ if (told := _told(name, known)) is not None]


def _told(name: str, known: Mapping[str, str]) -> str | None:
    plain = _plain(name)
    if not plain.startswith(ENV_PREFIX) or ENV_DELIMITER in name or name.upper() in known.values():
        return None
    word = plain.removeprefix(ENV_PREFIX).partition("_")[0].lower()
    groups = difflib.get_close_matches(word, Settings.model_fields, n=1, cutoff=_LIKENESS)
    if not groups:
        return None
    near = difflib.get_close_matches(plain, known, n=1, cutoff=_LIKENESS)
    if near:
        return f"environment {name} sets nothing: did you mean {known[near[0]]}?"
    settings = f"{ENV_PREFIX}{groups[0].upper()}{ENV_DELIMITER}"
    return f"environment {name} sets nothing: settings of {groups[0]} begin with {settings}"


def _plain(name: str) -> str:
    """The name as it is with the delimiter written as one underscore."""
    return re.sub("_+", "_", name.upper())


def _variables(group: Fields, prefix: str) -> Iterator[str]:
    """The variable of each setting and of each group of settings."""
    for name, field in group.items():
        variable = f"{prefix}{name.upper()}"
        yield variable
        yield from _variables(fields_of(field), variable + ENV_DELIMITER)
