"""Who a process is, which run it belongs to, and which attempt of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimtab import identity, launch
from trimtab.identity import Place, RunIdentity, find_place, new_run_id
from trimtab.job_settings import JobSettings


class GroupStore:
    """The store of a process group, as far as it is asked."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        if not expected:
            self._values.setdefault(key, desired)
        return self._values[key].encode()


class BrokenStore:
    """A store that cannot do it."""

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        raise NotImplementedError("compare_set")


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
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Place(1, 2)),
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


def test_the_commit_is_read_from_the_repository(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\nabc123 refs/heads/main\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert identity.git_commit(below) == "abc123"
    (git / "refs" / "heads" / "main").write_text("def456\n")
    assert identity.git_commit(below) == "def456"
    (git / "HEAD").write_text("0123abcd\n")
    assert identity.git_commit(tmp_path) == "0123abcd"


def settings(folder: Path, run: str | None = None, attempt: int | None = None) -> JobSettings:
    return JobSettings(folder=folder, run=run, attempt=attempt)


def test_a_single_process_makes_its_own_run(tmp_path: Path) -> None:
    first = launch.join("p", Place(), settings(tmp_path), {}, ())
    second = launch.join("p", Place(), settings(tmp_path), {}, ())
    assert first.run != second.run
    assert (first.attempt, first.noted) == (0, False)


def test_a_run_that_is_given_goes_on_with_the_next_attempt(tmp_path: Path) -> None:
    attempts = [launch.join("p", Place(), settings(tmp_path, "r"), {}, ()).attempt for _ in range(3)]
    assert attempts == [0, 1, 2]
    launch.note_attempt(tmp_path, "r", 0, 7)
    launch.note_attempt(tmp_path, "r", 0, 5)
    assert launch.join("p", Place(), settings(tmp_path, "r"), {}, ()).attempt == 8


def test_who_restarts_a_job_may_say_the_attempt(tmp_path: Path) -> None:
    restarted = {"TORCHELASTIC_RESTART_COUNT": "4"}
    assert launch.join("p", Place(), settings(tmp_path, "r", attempt=3), {}, ()).attempt == 3
    assert launch.join("p", Place(), settings(tmp_path, "r"), restarted, ()).attempt == 4
    assert launch.join("p", Place(), settings(tmp_path, "r", attempt=1), {}, ()).attempt == 5


def test_two_models_of_one_process_are_two_runs(tmp_path: Path) -> None:
    assert launch.join("p", Place(), settings(tmp_path, "r"), {}, {"r", "r-2"}).run == "r-3"


def test_the_ranks_of_a_host_agree_without_a_process_group(tmp_path: Path) -> None:
    members = [launch.agree_on_run("p", tmp_path, None, ordinal) for ordinal in (0, 0, 1, 0)]
    assert len({members[0], members[1], members[3]}) == 1
    assert members[2] != members[0]


def test_hosts_agree_by_the_store_of_their_process_group_and_keep_to_it(tmp_path: Path) -> None:
    store = GroupStore()
    first = launch.agree_on_run("p", tmp_path / "one", store, 0)
    assert launch.agree_on_run("p", tmp_path / "two", store, 0) == first
    restarted = launch.agree_on_run("p", tmp_path / "two", GroupStore(), 0)
    assert restarted == first, "the launcher started it again: the same run goes on"


def test_a_store_that_cannot_tell_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert launch.agree_on_run("p", tmp_path, BrokenStore(), 0) == launch.agree_on_run("p", tmp_path, None, 0)
    assert "compare_set" in caplog.text


def test_a_folder_that_cannot_be_written_costs_the_agreement_not_the_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    member = launch.join("p", Place(1, 2), settings(tmp_path / "file", attempt=2), {}, ())
    assert (member.attempt, member.noted) == (2, False)
    assert "TRIMTAB_RUN" in caplog.text
