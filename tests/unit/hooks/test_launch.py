"""Which run a process belongs to, and which attempt of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab import launch, notes
from trimtab.identity import Place
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
    notes.note_attempt(tmp_path, "r", 0, 7)
    notes.note_attempt(tmp_path, "r", 0, 5)
    assert launch.join("p", Place(), settings(tmp_path, "r"), {}, ()).attempt == 8


def test_who_restarts_a_job_may_say_the_attempt(tmp_path: Path) -> None:
    restarted = {"TORCHELASTIC_RESTART_COUNT": "4"}
    assert launch.join("p", Place(), settings(tmp_path, "r", attempt=3), {}, ()).attempt == 3
    assert launch.join("p", Place(), settings(tmp_path, "r"), restarted, ()).attempt == 4
    assert launch.join("p", Place(), settings(tmp_path, "r", attempt=1), {}, ()).attempt == 5


@pytest.mark.parametrize(
    ("environ", "attempt", "warned"),
    [
        ({}, None, False),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None, True),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, 0, False),
    ],
)
def test_a_pod_that_may_repeat_an_attempt_is_told_so(
    environ: dict[str, str],
    attempt: int | None,
    warned: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    launch.join("p", Place(), settings(tmp_path, "r", attempt), environ, ())
    assert ("TRIMTAB_ATTEMPT" in caplog.text) == warned
    caplog.clear()
    launch.join("p", Place(), settings(tmp_path, "r", attempt), environ, ())
    assert not caplog.text, "its notes are there"


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


SLURM = {"SLURM_JOB_ID": "4711"}
STEP = SLURM | {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}


def test_ranks_of_one_job_on_hosts_that_share_nothing_are_one_run(tmp_path: Path) -> None:
    first = launch.join("gpt", Place(1, 4), settings(tmp_path / "one"), STEP, ())
    other = {**STEP, "SLURM_PROCID": "3"}
    second = launch.join("gpt", Place(3, 4), settings(tmp_path / "two"), other, ())
    assert first.run.startswith("gpt-slurm-4711.0")
    assert first.run.split("-w")[0] == second.run.split("-w")[0]
    assert first.noted


def test_a_job_that_is_queued_again_goes_on_with_attempts_that_none_has_used(tmp_path: Path) -> None:
    again = {**STEP, "SLURM_RESTART_COUNT": "1"}
    for folder in (tmp_path / "old", tmp_path / "new"):  # on the same host, or on one that knows nothing
        assert launch.join("gpt", Place(1, 4), settings(tmp_path / "old"), STEP, ()).attempt < 100
        assert launch.join("gpt", Place(1, 4), settings(folder), again, ()).attempt == 100


def test_trainings_that_follow_one_another_in_one_job_are_runs_of_their_own(tmp_path: Path) -> None:
    launches = [launch.nth_launch(tmp_path, "slurm-4711.0", STEP, name) for name in ("a", "b", "a", "c")]
    assert launches == [0, 1, 0, 2]
    again = {**STEP, "SLURM_RESTART_COUNT": "1"}
    assert launch.nth_launch(tmp_path, "slurm-4711.0", again, "d") == 0
    neighbour = {**STEP, "SLURM_LOCALID": "0"}
    assert launch.nth_launch(tmp_path, "slurm-4711.0", neighbour, "e") == 0


def test_a_run_is_named_after_project_job_launch_and_model() -> None:
    assert launch.named_run("my gpt!", "slurm-1.0", 0, 0) == "my-gpt-slurm-1.0"
    names = {launch.named_run("x" * 300, "k" * 48, nth, ordinal) for nth in range(3) for ordinal in range(3)}
    assert len(names) == 9
    assert all(len(name) <= 128 for name in names)


def test_processes_alone_in_a_job_are_one_run_each(tmp_path: Path) -> None:
    runs = [launch.join("p", Place(), settings(tmp_path), SLURM, ()).run for _ in range(2)]
    assert len(set(runs)) == 2
    assert all(run.startswith("p-slurm-4711-") for run in runs)


def test_ranks_elsewhere_that_cannot_know_the_run_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pod = {"RANK": "1", "WORLD_SIZE": "2", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    launch.join("p", Place(1, 2), settings(tmp_path), pod, ())
    assert "after init_process_group(), or set TRIMTAB_RUN" in caplog.text
    caplog.clear()
    launch.join("p", Place(1, 2), settings(tmp_path, "given"), pod, ())
    assert caplog.text == ""
