"""When a run is running, hung, failed or finished."""

from __future__ import annotations

import pytest

from trimtab_monitor.liveness import Liveness, LivenessSettings, judge, patience

SETTINGS = LivenessSettings(
    heartbeat_timeout_s=60,
    hung_after_s=300,
    hung_after_steps=20,
    startup_timeout_s=1800,
    phase_timeout_s=3600,
)
START = 1000.0


def started() -> Liveness:
    return Liveness(heard=START, progressed=START)


def stepping(steps: int = 5, seconds: float = 1.0, rank: int = 0) -> Liveness:
    """A run that made `steps` steps, the last one at START + steps * seconds."""
    liveness = started()
    for step in range(1, steps + 1):
        now = START + step * seconds
        liveness.hear(now)
        liveness.step(rank, step, now, now)
    return liveness


def status(liveness: Liveness, now: float) -> str:
    return judge(liveness, SETTINGS, now).status


def test_a_run_that_steps_is_running() -> None:
    assert status(stepping(), START + 6) == "running"


def test_a_silent_run_has_failed() -> None:
    liveness = stepping()
    assert status(liveness, START + 65) == "running"
    verdict = judge(liveness, SETTINGS, START + 66)
    assert verdict.status == "failed"
    assert verdict.reason == "nothing was heard of it for 61 s"


def test_a_failed_run_that_is_heard_again_runs_again() -> None:
    liveness = stepping()
    assert status(liveness, START + 100) == "failed"
    liveness.hear(START + 101)
    assert status(liveness, START + 102) == "running"


def test_a_run_that_is_heard_but_makes_no_step_is_hung() -> None:
    liveness = stepping()
    liveness.hear(START + 300)
    assert status(liveness, START + 305) == "running"
    verdict = judge(liveness, SETTINGS, START + 306)
    assert verdict.status == "hung"
    assert "no new step came for 301 s" in verdict.reason


def test_a_hung_run_that_steps_is_running() -> None:
    liveness = stepping()
    liveness.hear(START + 400)
    assert status(liveness, START + 400) == "hung"
    liveness.step(0, 6, START + 401, START + 401)
    assert status(liveness, START + 401) == "running"


def test_the_same_step_again_is_no_progress() -> None:
    liveness = stepping()
    liveness.hear(START + 400)
    liveness.step(0, 5, START + 400, START + 400)
    assert status(liveness, START + 400) == "hung"


@pytest.mark.parametrize(("seconds", "expected"), [(1.0, 300.0), (15.0, 300.0), (60.0, 1200.0)])
def test_slow_steps_are_given_more_time(seconds: float, expected: float) -> None:
    assert patience(stepping(10, seconds), SETTINGS) == pytest.approx(expected)


def announcing(*phases: str) -> Liveness:
    """A run that paused for each of these, said so before, and goes on at START + 20."""
    liveness = stepping(20)
    for phase in phases:
        liveness.enter(phase, START + 20)
        liveness.enter("train", START + 20)
    liveness.hear(START + 400)
    return liveness


@pytest.mark.parametrize(
    ("phases", "expected"),
    [((), 300.0), (("eval",), 300.0), (("checkpoint",), 300.0), (("eval", "checkpoint"), 60.0)],
)
def test_a_run_that_announces_its_pauses_is_hung_sooner(phases: tuple[str, ...], expected: float) -> None:
    liveness = announcing(*phases)
    assert patience(liveness, SETTINGS) == expected
    assert status(liveness, START + 20 + expected) == "running"
    assert status(liveness, START + 21 + expected) == "hung"


def test_a_pause_as_long_as_one_before_is_no_hang() -> None:
    liveness = announcing("eval", "checkpoint")
    liveness.step(0, 21, START + 21, START + 21)
    liveness.step(0, 22, START + 221, START + 221)
    assert patience(liveness, SETTINGS) == 400.0


def test_a_clock_that_jumps_makes_nobody_wait() -> None:
    liveness = stepping(20)
    liveness.step(0, 21, START + 90_000, START + 21)
    assert patience(liveness, SETTINGS) == 300.0


def test_a_first_step_that_compiles_makes_nobody_wait() -> None:
    liveness = started()
    for step in range(1, 20):
        now = START + 2000 + step if step > 1 else START
        liveness.hear(now)
        liveness.step(0, step, now, now)
    assert patience(liveness, SETTINGS) == 300.0


def test_the_first_step_may_take_long() -> None:
    liveness = started()
    liveness.hear(START + 1800)
    assert status(liveness, START + 1800) == "running"
    liveness.hear(START + 1801)
    verdict = judge(liveness, SETTINGS, START + 1801)
    assert verdict.status == "hung"
    assert "no first step" in verdict.reason


def test_a_run_that_only_registered_may_take_as_long_as_a_first_step() -> None:
    assert status(started(), START + 1800) == "running"
    assert status(started(), START + 1801) == "failed"
    heard = started()
    heard.hear(START)
    assert status(heard, START + 61) == "failed"


@pytest.mark.parametrize("phase", ["eval", "checkpoint"])
def test_a_phase_has_its_own_patience(phase: str) -> None:
    liveness = stepping()
    liveness.enter(phase, START + 10)
    liveness.hear(START + 3600)
    assert status(liveness, START + 3609) == "running"
    liveness.hear(START + 3611)
    assert status(liveness, START + 3611) == "hung"
    liveness.enter("train", START + 3620)
    assert status(liveness, START + 3621) == "running"


def test_the_time_of_a_phase_is_no_step_time() -> None:
    liveness = stepping()
    liveness.enter("eval", START + 5)
    liveness.enter("train", START + 500)
    liveness.step(0, 6, START + 501, START + 501)
    assert max(liveness.step_seconds) == 1.0


def test_a_run_that_says_so_has_finished_and_stays_so() -> None:
    liveness = stepping()
    liveness.ended(0, "finished", "")
    assert status(liveness, START + 1e6) == "finished"


def test_a_run_that_says_that_it_failed_has_failed_at_once() -> None:
    liveness = stepping()
    liveness.ended(0, "failed", "CUDA error")
    assert judge(liveness, SETTINGS, START + 6).reason == "CUDA error"
    assert status(liveness, START + 6) == "failed"


def test_a_process_that_died_has_failed_at_once() -> None:
    liveness = stepping()
    liveness.died(0, 4711)
    verdict = judge(liveness, SETTINGS, START + 6)
    assert (verdict.status, verdict.reason) == ("failed", "process 4711 of rank 0 died")


def test_a_process_that_ended_well_did_not_die() -> None:
    liveness = stepping()
    liveness.ended(0, "finished", "")
    liveness.died(0, 4711)
    assert status(liveness, START + 6) == "finished"


def test_late_rows_of_a_dead_process_do_not_bring_it_back() -> None:
    liveness = stepping()
    liveness.died(0, 4711)
    liveness.step(0, 6, START + 6, START + 7)
    assert status(liveness, START + 8) == "failed"


def test_a_new_process_brings_a_run_back() -> None:
    liveness = stepping()
    liveness.died(0, 4711)
    liveness.hear(START + 100)
    liveness.start(START + 100)
    assert status(liveness, START + 101) == "running"


def test_another_rank_that_steps_on_brings_a_run_back() -> None:
    liveness = stepping()
    liveness.step(1, 5, START + 5, START + 5)
    liveness.died(1, 4711)
    liveness.step(0, 6, START + 6, START + 6)
    assert status(liveness, START + 7) == "running"


def test_a_run_finishes_with_its_lowest_rank() -> None:
    liveness = stepping()
    liveness.step(1, 5, START + 5, START + 5)
    liveness.ended(1, "finished", "")
    assert status(liveness, START + 6) == "running"
    liveness.ended(0, "finished", "")
    assert status(liveness, START + 6) == "finished"


def test_a_run_whose_lowest_rank_finished_stays_so_while_others_step_on() -> None:
    liveness = stepping()
    liveness.step(1, 5, START + 5, START + 5)
    liveness.ended(0, "finished", "")
    liveness.step(1, 7, START + 7, START + 7)
    liveness.ended(1, "finished", "")
    assert status(liveness, START + 1e6) == "finished"


def test_a_clock_that_is_ahead_hides_no_cause() -> None:
    liveness = stepping()
    liveness.step(1, 5, START + 3605, START + 5)
    liveness.died(1, 4711, time=START + 3606, received=START + 7)
    liveness.ended(0, "failed", "connection closed", time=START + 8, received=START + 9)
    assert judge(liveness, SETTINGS, START + 20, ranks=2).reason == "process 4711 of rank 1 died"


def test_a_run_fails_with_any_rank() -> None:
    liveness = stepping()
    liveness.ended(3, "failed", "")
    assert judge(liveness, SETTINGS, START + 6).reason == "rank 3 said that it failed"


@pytest.mark.parametrize(("away_until", "expected"), [(0.0, "failed"), (START + 5000, "running")])
def test_a_collector_that_was_away_accuses_nobody(away_until: float, expected: str) -> None:
    liveness = stepping()
    liveness.collector_started(away_until)
    assert status(liveness, START + 5050) == expected


def test_a_run_silent_since_the_collector_came_back_has_failed() -> None:
    liveness = stepping()
    liveness.collector_started(START + 5000)
    assert status(liveness, START + 5061) == "failed"


def test_a_collector_that_was_away_calls_nobody_hung() -> None:
    liveness = stepping()
    liveness.collector_started(START + 5000)
    liveness.hear(START + 5290)
    assert status(liveness, START + 5300) == "running"
    liveness.hear(START + 5301)
    assert status(liveness, START + 5301) == "hung"


def test_the_ranks_that_are_behind_are_known() -> None:
    liveness = stepping()
    for rank, step in ((1, 5), (2, 3), (3, 4)):
        liveness.step(rank, step, START + 5, START + 5)
    assert list(liveness.ranks_behind()) == [2, 3]


def test_steps_lived_again_after_a_rollback_are_progress() -> None:
    liveness = stepping(100)
    liveness.rewind(50)
    liveness.hear(START + 500)
    liveness.step(0, 51, START + 500, START + 500)
    assert status(liveness, START + 501) == "running"
    assert liveness.last_steps == {0: 51}
