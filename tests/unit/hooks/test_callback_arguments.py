"""What a framework holds is given on only where it can be used."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from trimtab.integrations.arguments import short_name, usable, without_rollback


def test_going_back_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"'auto': .*use 'advise', and restart it with care"):
        without_rollback({"rollback": "auto"}, "care")
    assert without_rollback({"rollback": "advise"}, "care") == {"rollback": "advise"}


def test_a_placeholder_is_left_out() -> None:
    schedule = SimpleNamespace(state_dict=dict, get_scale=float)
    assert usable(schedule, "state_dict", "get_scale") is schedule
    assert usable(SimpleNamespace(state_dict=dict), "state_dict", "get_scale") is None
    assert usable(None, "state_dict") is None


def test_a_name_is_made_one_that_a_run_can_have() -> None:
    assert short_name("n" * 300) == "n" * 200
    assert short_name("broken \ud800") == "broken ?"
    assert short_name(None) is None
