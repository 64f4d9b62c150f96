"""What `trimtab.watch()` is told of a run is checked, and made what the collector takes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from trimtab.asked import Asked, Watched
from trimtab.identity import Place
from trimtab.plain_values import CUT_KEY, MAX_BYTES, plain_config

MODEL = torch.nn.Linear(2, 1)
OPTIMIZER = torch.optim.SGD(MODEL.parameters(), lr=0.1)
NOTHING = Watched(None, None, None, None)


def asked(**changes: Any) -> Asked:
    given: dict[str, Any] = {"project": "p", "name": None, "rollback": "off", "total_steps": None}
    given |= {"tokens_per_step": None, "config": None, "watched": NOTHING}
    return Asked(**{**given, **changes})


class Settings:
    def __init__(self) -> None:
        self.lr = 0.1
        self._cache = 3


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        (3, {"config": 3}),
        ([1, 2], {"config": [1, 2]}),
        (complex, {"config": "<class 'complex'>"}),
        (Settings(), {"lr": 0.1}),
        (SimpleNamespace(lr=1), {"lr": 1}),
        ({1: {"a": None}}, {"1": {"a": None}}),
        ({}, {}),
        ({"name": "\udc80"}, {"name": "?"}),
    ],
)
def test_a_config_is_a_dict_whatever_it_was_given_as(config: Any, kept: dict[str, Any]) -> None:
    assert plain_config(config) == kept


def test_what_does_not_fit_of_a_config_is_left_out_and_told() -> None:
    kept = plain_config({"lr": 1, "vocabulary": "ä" * MAX_BYTES, "steps": 2})
    assert {key: kept[key] for key in kept if key != CUT_KEY} == {"lr": 1, "steps": 2}
    assert "vocabulary" in kept[CUT_KEY]
    many = plain_config({f"{number:0100}": number for number in range(5000)})
    assert len(json.dumps(many).encode()) <= MAX_BYTES
    assert CUT_KEY in many


@pytest.mark.parametrize("name", ["project", "name"])
@pytest.mark.parametrize("value", ["x" * 201, "\udc80", 3])
def test_a_name_that_the_collector_cannot_keep_is_told(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: .*give"):
        asked(**{name: value})
    asked(**{name: "x" * 200})


@pytest.mark.parametrize("steps", [5, np.int64(5), 5.0, np.float64(5.0)])
def test_a_count_may_be_any_kind_of_whole_number(steps: Any) -> None:
    found = asked(total_steps=steps).total_steps
    assert (found, type(found)) == (5, int)


@pytest.mark.parametrize("tokens", [512.5, np.float32(512.5)])
def test_tokens_may_be_any_kind_of_number_and_are_registered_as_whole_ones(tokens: Any) -> None:
    found = asked(tokens_per_step=tokens)
    assert found.tokens_per_step == 512.5
    body = found.registration(Place())
    assert (body["tokens_per_step"], type(body["tokens_per_step"])) == (512, int)


@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan"), float("inf"), 2**63, [5]])
@pytest.mark.parametrize("name", ["total_steps", "tokens_per_step"])
def test_what_is_no_amount_is_told(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: .*give"):
        asked(**{name: value})


def test_half_a_step_is_no_count() -> None:
    with pytest.raises(ValueError, match="whole number"):
        asked(total_steps=2.5)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("model", OPTIMIZER),
        ("model", [MODEL, OPTIMIZER]),
        ("optimizer", MODEL),
        ("scheduler", 3),
        ("scaler", "amp"),
        ("scaler", OPTIMIZER),
        ("scaler", []),
    ],
)
def test_an_object_of_another_kind_is_told_by_its_name(name: str, given: object) -> None:
    things = {"model": None, "optimizer": None, "scheduler": None, "scaler": None, name: given}
    with pytest.raises(ValueError, match=rf"^{name}: an object of "):
        Watched(**things)


def test_a_list_is_known_by_its_elements() -> None:
    assert Watched([MODEL], [OPTIMIZER], None, None).identities == (MODEL, OPTIMIZER)
    assert Watched([], [], None, None).empty
