"""What single entries make of a run."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from trimtab import wire
from trimtab_alerts.settings import AlertSettings, WebhookSettings
from trimtab_monitor.entries import (
    AlertAcked,
    BatchReceived,
    CollectorStarted,
    CommandPosted,
    Entry,
    Registered,
    Registration,
    Tick,
)
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.fold_run import fold_run
from trimtab_monitor.folding.run_state import RunState, new_run, pack, summarise, unpack
from trimtab_monitor.settings import Settings
from trimtab_monitor.testing import Story, batches_of

NOW = 1_700_001_000.0
SETTINGS = Settings(alerts=AlertSettings(webhooks=(WebhookSettings(name="hook", url="http://hook"),)))  # type: ignore[arg-type]


def new(rollback: str = "auto", **registration: Any) -> RunState:
    state = new_run("run", NOW, Registration(project="gpt", **registration), SETTINGS)
    tell(state, {"kind": "run_start", "step": 0, "time": 1000.0, "rollback": rollback})
    return state


def send(
    state: RunState,
    rows: Sequence[tuple[int, Mapping[str, float]]] = (),
    events: Sequence[Mapping[str, Any]] = (),
    *,
    attempt: int = 0,
    rank: int = 0,
    now: float = NOW,
    devices: Sequence[wire.Device] = (),
) -> Effects:
    names = {name for _, values in rows for name in values}
    batch = wire.Batch(
        rank=rank,
        seq=0,
        attempt=attempt,
        step=array("q", [step for step, _ in rows]),
        time=array("d", [1000.0 + step for step, _ in rows]),
        metrics={
            name: array("d", [values.get(name, wire.NOT_MEASURED) for _, values in rows]) for name in names
        },
        devices=devices,
        events=events,
    )
    return fold(state, BatchReceived(now, "run", batch), SETTINGS)


def tell(state: RunState, event: Mapping[str, Any], **identity: Any) -> Effects:
    return send(state, events=[{"time": 1000.0, **event}], **identity)


def steps(first: int, last: int, loss: float = 2.0) -> list[tuple[int, dict[str, float]]]:
    return [(step, {"loss": loss + 0.01 * (step % 3), "grad_norm": 1.0}) for step in range(first, last + 1)]


def spiking(rollback: str = "auto") -> tuple[RunState, Effects]:
    """A run of 100 good steps, checkpoints every 10, and two of a spike."""
    state = new(rollback)
    saved = [
        {"kind": "checkpoint_saved", "checkpoint": f"c{s}", "step": s, "time": 1000.0 + s, "where": "memory"}
        for s in range(10, 101, 10)
    ]
    send(state, steps(1, 100), saved)
    return state, send(state, steps(101, 104, loss=9.0))


def apply(state: RunState, command: wire.Command, **identity: Any) -> Effects:
    """The job did as told, at step 106."""
    event = {
        "kind": "command_applied",
        "command": command.id,
        "outcome": "applied",
        "step": command.to_step,
        "from_step": 106,
        "to_step": command.to_step,
        "new_attempt": 1,
        "time": 1107.0,
    }
    return tell(state, event, attempt=1, **identity)


def only_command(effects: Effects) -> wire.Command:
    (command,) = effects.commands.values()
    return command


class TestSamples:
    def test_the_newest_values_are_told(self) -> None:
        state = new()
        send(state, [(1, {"loss": 2.0, "lr": 0.1}), (2, {"loss": math.inf})])
        summary = summarise(state)
        assert (summary.last_step, summary.last_sample) == (2, 1002.0)
        assert summary.latest == {"loss": math.inf, "lr": 0.1}

    def test_a_spike_makes_an_incident_an_alert_a_delivery_and_a_command(self) -> None:
        state, effects = spiking()
        (incident,) = effects.incidents.values()
        assert (incident.id, incident.start_step, incident.severity) == ("run.1", 101, "critical")
        assert [alert.incident for alert in effects.alerts.values()] == ["run.1"]
        assert {delivery.destination for delivery in effects.deliveries} == {"console", "hook"}
        command = only_command(effects)
        assert (command.kind, command.to_step, command.state) == ("rollback", 90, "pending")
        assert state.commands == {command.id: command}
        assert summarise(state).incidents_open == {"critical": 1}

    def test_an_advised_command_is_not_for_the_job(self) -> None:
        state, effects = spiking("advise")
        assert only_command(effects).state == "advised"
        assert state.commands == {}

    def test_without_leave_there_is_no_command(self) -> None:
        _, effects = spiking("off")
        assert effects.incidents
        assert effects.commands == {}

    def test_the_numbers_of_a_run_are_those_of_its_lowest_rank(self) -> None:
        state = new()
        send(state, [(1, {"loss": 3.0})], rank=1)
        send(state, [(1, {"loss": 1.0})], rank=0)
        send(state, [(2, {"loss": 4.0})], rank=1)
        assert summarise(state).latest == {"loss": 1.0}
        assert summarise(state).last_step == 2

    def test_a_value_that_is_not_finite_counts_on_any_rank(self) -> None:
        state = new()
        send(state, steps(1, 40))
        effects = send(state, [(40, {"loss": math.nan})], rank=3)
        assert [incident.kind for incident in effects.incidents.values()] == ["non_finite"]

    def test_shards_are_added_up(self) -> None:
        state = new(world_size=2)
        send(state, [(1, {"grad_norm_sq_shard": 9.0})], rank=0)
        assert "grad_norm" not in state.latest
        send(state, [(1, {"grad_norm_sq_shard": 16.0})], rank=1)
        assert state.latest["grad_norm"] == 5.0

    def test_a_shard_that_is_not_finite_makes_an_incident(self) -> None:
        state = new(world_size=2)
        send(state, [(1, {"grad_norm_sq_shard": 9.0})], rank=0)
        effects = send(state, [(1, {"grad_norm_sq_shard": math.inf})], rank=1)
        assert [incident.kind for incident in effects.incidents.values()] == ["non_finite"]

    def test_of_very_many_metrics_some_are_remembered(self) -> None:
        state = new()
        send(state, [(1, {f"layer/{i}": 1.0 for i in range(2000)})])
        send(state, [(2, {"layer/0": 2.0})])
        assert len(state.latest) == 512
        assert summarise(state).metrics_left_out == 1488

    def test_the_standard_metrics_always_have_room(self) -> None:
        state = new()
        send(state, [(1, {f"layer/{i}": 1.0 for i in range(2000)})])
        send(state, [(2, {"loss": 2.0, "lr": 0.1, "layer/1999": 1.0})])
        assert (state.latest["loss"], state.latest["lr"], len(state.latest)) == (2.0, 0.1, 514)

    def test_what_comes_late_is_not_the_newest(self) -> None:
        state = new()
        send(state, steps(1, 10))
        send(state, [(step, {"loss": 1.0}) for step in range(21, 31)])
        send(state, [(step, {"loss": 9.0, "accuracy": 0.5}) for step in range(11, 21)])
        summary = summarise(state)
        assert (summary.latest["loss"], summary.latest["accuracy"]) == (1.0, 0.5)
        assert (summary.last_step, summary.last_sample) == (30, 1030.0)

    def test_after_a_rollback_the_newest_is_of_the_new_attempt(self) -> None:
        state = new()
        send(state, steps(1, 10))
        send(state, [(5, {"loss": 7.0})], attempt=1)
        assert state.latest["loss"] == 7.0


class TestAttempts:
    def test_a_rollback_loses_what_is_lived_again(self) -> None:
        state, effects = spiking()
        command = only_command(effects)
        done = apply(state, command)
        assert only_command(done).state == "applied"
        summary = summarise(state)
        assert (summary.attempt, summary.last_step, summary.rollbacks) == (1, 90, 1)
        assert (summary.lost_steps, summary.lost_seconds) == (14, 1107.0 - 1090.0)
        assert state.commands == {}
        (incident,) = done.incidents.values()
        assert incident.evidence["rollbacks"][0]["to_step"] == 90

    def test_every_rank_answers_and_the_first_counts(self) -> None:
        state, effects = spiking()
        command = only_command(effects)
        apply(state, command)
        lost = summarise(state).lost_seconds
        assert not apply(state, command, rank=1).commands
        assert (summarise(state).rollbacks, summarise(state).lost_seconds) == (1, lost)

    def test_a_refused_command_changes_nothing_else(self) -> None:
        state, effects = spiking()
        command = only_command(effects)
        event = {"kind": "command_applied", "command": command.id, "outcome": "refused", "step": 105}
        assert only_command(tell(state, event)).state == "refused"
        assert (state.attempt, state.commands, summarise(state).rollbacks) == (0, {}, 0)

    def test_samples_of_an_older_attempt_come_too_late(self) -> None:
        state, effects = spiking()
        apply(state, only_command(effects))
        late = send(state, [(105, {"loss": math.nan})], attempt=0, rank=1)
        assert not late.incidents
        assert state.last_step == 90

    def test_readings_and_troubles_of_an_older_attempt_still_count(self) -> None:
        state, effects = spiking()
        apply(state, only_command(effects))
        dropped = {"kind": "samples_dropped", "step": 100, "time": 1100.0, "count": 7}
        send(state, events=[dropped], devices=[Story(steps=3).device(1, 4)])
        assert summarise(state).samples_dropped == 7
        assert summarise(state).joules == 500.0

    def test_a_process_that_starts_again_from_an_older_step_loses_the_rest(self) -> None:
        state = new()
        send(state, steps(1, 100))
        start = {"kind": "run_start", "step": 80, "time": 5000.0, "rollback": "advise"}
        tell(state, start, attempt=1)
        summary = summarise(state)
        assert (summary.attempt, summary.last_step, summary.mode) == (1, 80, "advise")
        assert (summary.lost_steps, summary.lost_seconds) == (20, 20.0)
        send(state, [(81, {"loss": 2.0})], attempt=1)
        assert state.timeline.time_at(80) == 5000.0

    def test_a_run_began_when_its_first_process_did_however_often_it_starts_again(self) -> None:
        assert summarise(new_run("run", NOW, Registration(project="gpt"), SETTINGS)).began is None
        state = new()
        tell(state, {"kind": "run_start", "step": 0, "time": 1002.0}, rank=1)
        tell(state, {"kind": "run_start", "step": 0, "time": 5000.0}, attempt=1)
        assert summarise(unpack(pack(state))).began == 1000.0

    def test_a_start_after_steps_is_not_where_the_run_began(self) -> None:
        state = new_run("run", NOW, Registration(project="gpt"), SETTINGS)
        send(state, steps(1, 10))
        tell(state, {"kind": "run_start", "step": 10, "time": 5000.0}, attempt=1)
        assert summarise(state).began is None

    def test_a_step_that_goes_back_begins_an_attempt_too(self) -> None:
        state = new()
        send(state, steps(1, 100))
        send(state, steps(51, 60), attempt=1)
        summary = summarise(state)
        assert (summary.attempt, summary.last_step, summary.lost_steps) == (1, 60, 50)

    def test_steps_beyond_all_reason_can_be_kept(self) -> None:
        state = new()
        for attempt in (0, 2, 4):
            send(state, [(wire.INT64_MAX, {"loss": 1.0})], attempt=attempt)
            send(state, [(1, {"loss": 1.0})], attempt=attempt + 1)
        assert unpack(pack(state)).ledger.lost_steps == wire.INT64_MAX

    def test_commands_for_an_older_attempt_expire(self) -> None:
        state, _ = spiking()
        effects = send(state, steps(51, 60), attempt=1)
        assert only_command(effects).state == "expired"
        assert state.commands == {}

    def test_a_late_start_of_another_rank_forgets_no_checkpoint(self) -> None:
        state, _ = spiking()
        held = len(state.rollback.checkpoints)
        tell(state, {"kind": "run_start", "step": 0, "rollback": "auto"}, rank=1)
        assert len(state.rollback.checkpoints) == held > 0


class TestCommandsOfPeople:
    def test_they_wait_for_the_job(self) -> None:
        state = new()
        command = wire.Command(id="c", kind="stop")
        effects = fold(state, CommandPosted(NOW, "run", command), SETTINGS)
        assert (effects.commands, state.commands) == ({"c": command}, {"c": command})

    def test_one_for_an_older_attempt_expires_at_once(self) -> None:
        state = new()
        send(state, steps(1, 3), attempt=2)
        effects = fold(state, CommandPosted(NOW, "run", wire.Command(id="c", kind="stop")), SETTINGS)
        assert only_command(effects).state == "expired"
        assert state.commands == {}

    def test_they_expire_when_the_run_ends(self) -> None:
        state = new()
        fold(state, CommandPosted(NOW, "run", wire.Command(id="c", kind="stop")), SETTINGS)
        effects = tell(state, {"kind": "run_end", "step": 1, "status": "finished"})
        assert only_command(effects).state == "expired"


class TestLife:
    def test_a_silent_run_fails_with_a_page_and_runs_again_when_heard(self) -> None:
        state = new()
        send(state, steps(1, 10))
        assert not fold(state, Tick(NOW + 60), SETTINGS)
        failed = fold(state, Tick(NOW + 61), SETTINGS)
        (incident,) = failed.incidents.values()
        assert (incident.kind, incident.severity, incident.state) == ("failed", "critical", "open")
        assert [delivery.action for delivery in failed.deliveries] == ["trigger", "trigger"]
        assert summarise(state).status == "failed"
        assert not fold(state, Tick(NOW + 66), SETTINGS)

        back = send(state, steps(11, 12), now=NOW + 70)
        assert [each.state for each in back.incidents.values()] == ["resolved"]
        assert {delivery.action for delivery in back.deliveries} == {"resolve"}
        assert summarise(state).status == "running"
        assert summarise(state).incidents_open == {}

    def test_a_hung_run_pages_until_it_steps(self) -> None:
        state = new()
        send(state, steps(1, 10))
        tell(state, {"kind": "note"}, now=NOW + 300)
        hung = fold(state, Tick(NOW + 301), SETTINGS)
        assert [each.kind for each in hung.incidents.values()] == ["hung"]
        back = send(state, steps(11, 11), now=NOW + 310)
        assert [each.state for each in back.incidents.values()] == ["resolved"]

    def test_hung_gives_way_to_failed(self) -> None:
        state = new()
        send(state, steps(1, 10))
        tell(state, {"kind": "note"}, now=NOW + 301)
        fold(state, Tick(NOW + 302), SETTINGS)
        failed = fold(state, Tick(NOW + 400), SETTINGS)
        told = {each.kind: each.state for each in failed.incidents.values()}
        assert told == {"hung": "resolved", "failed": "open"}

    def test_a_restart_of_the_collector_fails_nobody(self) -> None:
        state = new()
        send(state, steps(1, 10))
        fold(state, CollectorStarted(NOW + 5000), SETTINGS)
        assert not fold(state, Tick(NOW + 5050), SETTINGS)
        assert fold(state, Tick(NOW + 5061), SETTINGS).incidents

    def test_a_phase_may_take_its_time(self) -> None:
        state = new()
        send(state, steps(1, 10), [{"kind": "phase", "phase": "eval", "step": 10, "time": 1010.0}])
        tell(state, {"kind": "note"}, now=NOW + 3000)
        assert not fold(state, Tick(NOW + 3001), SETTINGS)

    def test_a_finished_run_leaves_nothing_open(self) -> None:
        state, _ = spiking("off")
        ended = tell(state, {"kind": "run_end", "step": 104, "status": "finished"})
        assert summarise(state).status == "finished"
        assert [each.state for each in ended.incidents.values()] == ["resolved"]
        assert summarise(state).incidents_open == {}

    def test_a_run_that_failed_keeps_what_is_open(self) -> None:
        state, _ = spiking("off")
        tell(state, {"kind": "run_end", "step": 104, "status": "failed", "reason": "CUDA error"})
        assert summarise(state).incidents_open == {"critical": 2}
        assert summarise(state).reason == "CUDA error"

    def test_a_dead_process_fails_the_run_at_once_and_another_revives_it(self) -> None:
        state = new()
        send(state, steps(1, 10))
        died = tell(state, {"kind": "process_died", "pid": 4711, "step": 10})
        assert [each.summary for each in died.incidents.values()] == [
            "run failed at step 10: process 4711 of rank 0 died"
        ]
        back = tell(state, {"kind": "run_start", "step": 5, "rollback": "off"}, attempt=1)
        assert [each.state for each in back.incidents.values()] == ["resolved"]
        assert summarise(state).status == "running"

    def test_nothing_draws_power_for_a_run_that_is_over(self) -> None:
        state = new()
        send(state, steps(1, 3), devices=[Story(steps=3).device(1, 4)])
        assert summarise(state).power_w == {"gpu": 250.0}
        tell(state, {"kind": "run_end", "step": 3, "status": "finished"})
        assert summarise(state).power_w == {}

    def test_energy_that_is_not_measured_is_not_zero(self) -> None:
        assert summarise(new()).joules is None


class TestOtherEvents:
    @pytest.mark.parametrize(
        "event",
        [
            {"kind": "run_end", "status": "exploded"},
            {"kind": "checkpoint_saved", "checkpoint": "c", "step": None, "where": "memory"},
            {"kind": "command_applied"},
            {"kind": "phase", "phase": None},
            {"kind": "samples_dropped", "count": "many"},
            {"kind": "samples_dropped", "count": -5},
            {"kind": "hook_error", "count": 2**31},
            {"kind": "run_start", "rollback": "always"},
        ],
    )
    def test_one_that_cannot_be_read_is_passed_over(self, event: dict[str, Any]) -> None:
        state = new()
        send(state, [(1, {"loss": 2.0})], [{"time": 1001.0, **event}])
        assert summarise(state).unreadable_events == 1
        assert state.last_step == 1

    def test_the_least_that_names_a_checkpoint_is_enough(self) -> None:
        state = new()
        tell(state, {"kind": "checkpoint_saved", "step": 10})
        tell(state, {"kind": "checkpoint_saved", "step": 20, "finite": False})
        (known,) = state.rollback.checkpoints
        assert (known.step, known.id, known.where) == (10, "step-10", "disk")

    def test_an_end_without_a_status_is_a_good_one(self) -> None:
        state = new()
        send(state, steps(1, 3), [{"kind": "run_end", "step": 3, "time": 1003.0}])
        assert summarise(state).status == "finished"

    def test_an_answer_that_names_the_command_alone_applied_it(self) -> None:
        state, effects = spiking()
        command = only_command(effects)
        told = tell(state, {"kind": "command_applied", "command": command.id, "time": 1107.0})
        assert only_command(told).state == "applied"
        assert summarise(state).rollbacks == 1
        send(state, steps(91, 95), attempt=1)
        summary = summarise(state)
        assert (summary.attempt, summary.lost_steps, summary.lost_seconds) == (1, 14, 14.0)
        assert state.rollback.restored_step == 90
        assert state.rollback.checkpoints[-1].step == 90

    def test_one_of_an_unknown_kind_means_nothing(self) -> None:
        state = new()
        before = pack(state)
        tell(state, {"kind": "coffee", "cups": 3})
        assert pack(state) == before

    def test_troubles_of_the_job_are_counted(self) -> None:
        state = new()
        tell(state, {"kind": "hook_error", "where": "capture", "error": "ValueError", "count": 3})
        tell(state, {"kind": "samples_dropped", "count": 5, "reason": "full"})
        summary = summarise(state)
        assert (summary.hook_errors, summary.samples_dropped) == (3, 5)


class TestAlerts:
    def test_an_alert_can_be_taken_once(self) -> None:
        state, effects = spiking()
        (alert,) = effects.alerts.values()
        taken = fold(state, AlertAcked(NOW, "run", alert.id), SETTINGS)
        assert [each.state for each in taken.alerts.values()] == ["acknowledged"]
        assert not fold(state, AlertAcked(NOW, "run", alert.id), SETTINGS)

    @pytest.mark.parametrize("last", [NOW + 30, NOW - 30])
    def test_it_begins_and_ends_by_the_collectors_clock(self, last: float) -> None:
        state, effects = spiking("off")  # the job's clock says 1970
        (alert,) = effects.alerts.values()
        assert alert.starts_at == NOW
        over = send(state, steps(105, 140), now=last)
        (alert,) = over.alerts.values()
        assert (alert.state, alert.starts_at, alert.ends_at) == ("resolved", NOW, max(NOW, last))


class TestRemedies:
    def test_an_incident_tells_what_became_of_its_remedy(self) -> None:
        state, effects = spiking()
        command = only_command(effects)
        assert effects.incidents["run.1"].evidence["remedy"]["state"] == "pending"
        done = apply(state, command)
        assert done.incidents["run.1"].evidence["remedy"]["state"] == "applied"
        over = send(state, steps(91, 130), attempt=1)
        assert over.incidents["run.1"].state == "resolved"
        assert over.incidents["run.1"].evidence["remedy"]["state"] == "applied"

    def test_one_that_is_over_before_the_answer_tells_it_too(self) -> None:
        state, effects = spiking()
        command = only_command(effects)
        send(state, steps(105, 130))
        state = unpack(pack(state))
        counted = dict(state.incidents_total)
        done = apply(state, command)
        incident = done.incidents["run.1"]
        assert (incident.state, incident.evidence["remedy"]["state"]) == ("resolved", "applied")
        assert (state.unanswered, done.alerts, state.incidents_total) == ({}, {}, counted)

    def test_one_that_nobody_answered_has_expired(self) -> None:
        state, _ = spiking()
        ended = tell(state, {"kind": "run_end", "step": 104})
        incident = ended.incidents["run.1"]
        assert (incident.state, incident.evidence["remedy"]["state"]) == ("resolved", "expired")


class TestStateAndFaults:
    def test_a_state_comes_back_as_it_was(self) -> None:
        state, effects = spiking()
        apply(state, only_command(effects))
        again = unpack(pack(state))
        assert pack(again) == pack(state)
        rows = steps(91, 130)
        assert send(again, rows, attempt=1) == send(state, rows, attempt=1)
        assert pack(again) == pack(state)

    def test_an_entry_that_cannot_be_folded_is_skipped_in_whole(self) -> None:
        def faulty(state: RunState, entry: Entry, settings: Settings) -> Effects:
            effects = fold(state, entry, settings)
            if isinstance(entry, BatchReceived) and entry.batch.seq == 1:
                raise ZeroDivisionError
            return effects

        batches = batches_of(Story(steps=90, spikes=(40,)), iter([30, 30, 30]))
        entries = [(position, BatchReceived(NOW, "run", batch)) for position, batch in enumerate(batches)]
        folded = fold_run(new(), entries, SETTINGS, faulty)
        others = fold_run(new(), [entries[0], entries[2]], SETTINGS)
        assert folded.skipped == [1]
        assert summarise(folded.state).fold_errors == 1
        folded.state.tallies.fold_errors = 0
        assert pack(folded.state) == pack(others.state)
        assert folded.effects.incidents == others.effects.incidents

    def test_registering_again_changes_what_is_told(self) -> None:
        state = new()
        again = Registered(NOW, "run", Registration(project="gpt", total_steps=500))
        assert fold(state, again, SETTINGS)
        assert summarise(state).registration.total_steps == 500


def test_what_comes_again_and_again_pages_nobody_again_but_is_told() -> None:
    state = new("off")
    send(state, steps(1, 99))
    pages: list[int] = []
    for first in range(100, 500, 40):
        spike = send(state, [(first, {"loss": 9.0, "grad_norm": 1.0})])
        assert len(spike.incidents) == 1
        pages.append(len(spike.deliveries))
        send(state, steps(first + 1, first + 39))
    assert [page > 0 for page in pages] == [True] * 4 + [False] * 6
    assert state.incidents_total["critical"] == 4


def test_after_it_came_again_a_checkpoint_from_in_between_is_healthy() -> None:
    state = new()
    for first in range(1, 200, 40):
        send(state, [*steps(first, first + 38), (first + 39, {"loss": 9.0, "grad_norm": 1.0})])
    (open_,) = state.incidents.open
    send(state, steps(201, 239), [{"kind": "checkpoint_saved", "step": 230, "id": "c", "time": 1239.5}])
    worse = send(state, [(240, {"loss": 9.0, "grad_norm": 1.0}), (241, {"loss": 9.0, "grad_norm": 1.0})])
    (command,) = worse.commands.values()
    assert open_.start_step < 200
    assert command.to_step == 230
