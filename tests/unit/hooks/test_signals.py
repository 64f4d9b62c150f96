"""What is measured beyond the default: asked for by argument or environment, and checked."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

import trimtab
from trimtab.signals import Signals, variable


def test_all_is_off_unless_asked_for() -> None:
    default = trimtab.Signals()
    assert default == Signals.from_environ({})
    assert default.layer_norms_every == 0


@pytest.mark.parametrize("name", [each.name for each in fields(Signals)])
def test_each_field_is_read_from_its_variable(name: str) -> None:
    given = Signals(**{name: 7})
    assert getattr(given, name) == 7
    assert Signals.from_environ({variable(name): "7"}) == given
    assert Signals.from_environ({variable(name): ""}) == Signals()


@pytest.mark.parametrize("name", [each.name for each in fields(Signals)])
@pytest.mark.parametrize("value", [-1, "often", None, 2.5])
def test_a_wrong_value_is_told_with_its_name_and_the_remedy(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^signals: {name}=.*: give"):
        Signals(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("layers", "0"), ("layer_norms_every", "often")])
def test_a_wrong_variable_is_told(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="give"):
        Signals.from_environ({variable(name): value})


def test_a_number_is_no_truth_and_a_truth_no_number() -> None:
    with pytest.raises(ValueError, match="give a whole number"):
        Signals(layers=True)
