"""Who a process is, and what its run may be called."""

from __future__ import annotations

import re

import pytest

from trimtab import identity
from trimtab.identity import Place, RunIdentity, find_place, new_run_id


def test_a_run_id_says_the_project_and_the_moment() -> None:
    assert new_run_id("gpt", 0.0, "beef") == "gpt-19700101-000000-beef"
    assert re.fullmatch(r"my-run-\d{8}-\d{6}-[0-9a-f]{4}", new_run_id("my run!", 1e9))


@pytest.mark.parametrize("run", ["", ".", "..", "a/b", "a\n", "x" * 129])
def test_what_is_no_run_id(run: str) -> None:
    with pytest.raises(ValueError, match="run id: "):
        identity.check_run_id(run)


@pytest.mark.parametrize("run", ["a", "...", ".a", "..a", "-", "x" * 128])
def test_what_is_a_run_id(run: str) -> None:
    assert identity.check_run_id(run) == run


@pytest.mark.parametrize("project", ["", "///", "日本", "x" * 500])
def test_any_project_gives_a_run_id_that_the_collector_takes(project: str) -> None:
    assert identity.RUN_PATTERN.fullmatch(new_run_id(project, 1e9))


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, Place(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "8"}, Place(3, 8)),
        ({"RANK": "8", "WORLD_SIZE": "8"}, Place(0, 1)),
        ({"RANK": "x", "WORLD_SIZE": "8"}, Place(0, 1)),
        ({"RANK": "1"}, Place(0, 1)),
    ],
)
def test_the_place_among_peers_comes_from_the_launcher(environ: dict[str, str], place: Place) -> None:
    assert find_place(environ) == place


@pytest.mark.parametrize("field", [{"run": "a b"}, {"run": ""}, {"attempt": -1}, {"rank": -1}])
def test_an_identity_that_is_none_is_refused(field: dict[str, object]) -> None:
    whole = {"run": "r", "attempt": 0, "rank": 0, "pid": 1, "host": "h", "boot_id": "b"}
    with pytest.raises(ValueError, match=r"give|use"):
        RunIdentity(**(whole | field))  # type: ignore[arg-type]
