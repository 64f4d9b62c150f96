"""The examples in the docstrings of the hooks hold."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = [
    "rewind.accord",
    "outbound.backoff",
    "rewind.commands",
    "integrations.arguments",
    "launch",
    "plain_values",
    "sensors.sampler",
    "outbound.urgency",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(import_module(f"trimtab.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
