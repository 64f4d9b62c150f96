"""One run from the first step to the last, against a collector on loopback."""

from __future__ import annotations

import copy
import gc
import logging
import math
import pickle
import threading
import time
import weakref
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

import trimtab
from trimtab import wire
from trimtab.outbound.recovery import sweep
from trimtab.outbound.transport import Answer
from trimtab.testing import RecordingCollector, problem
from trimtab.vocabulary import Command


def start(collector: RecordingCollector, *things: Any, **arguments: Any) -> trimtab.Watch:
    return trimtab.watch(*things, project="test", url=collector.url, **arguments)


def model_and_optimizer() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = torch.nn.Linear(4, 1)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


class Wrapper:
    """Has the real optimizer inside, as Accelerate's."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.param_groups = optimizer.param_groups
        self.state_dict = optimizer.state_dict


def train_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    loss: torch.Tensor = model(torch.randn(8, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss


def bits(values: list[float]) -> list[str]:
    return [value.hex() if value == value else f"nan {wire.is_measured(value)}" for value in values]


def test_a_run_arrives_whole_and_in_order(collector: RecordingCollector, home: Path) -> None:
    with start(collector, tokens_per_step=512, total_steps=9, config={"lr": 1e-3}, name="n") as watch:
        for number in range(1, 1001):
            result = watch.step(loss=1.0 / number, lr=0.1, grad_norm=2.0)
            assert (result.step, result.rolled_back, result.stop) == (number, False, False)
        assert watch.step_number == 1000
    assert collector.rows(watch.run) == list(range(1, 1001))
    assert collector.column("loss") == [1.0 / number for number in range(1, 1001)]
    assert set(collector.column("tokens")) == {512.0}
    registration = collector.registrations[watch.run]
    assert registration.pop("origin")["versions"]["trimtab"] == trimtab.__version__
    assert registration == {
        "run": watch.run,
        "project": "test",
        "name": "n",
        "world_size": 1,
        "total_steps": 9,
        "tokens_per_step": 512,
        "config": {"lr": 1e-3},
    }
    assert watch.url == f"{collector.url}/?run={watch.run}"
    assert [event["kind"] for event in collector.events()] == ["run_start", "run_end"]
    assert collector.events("run_start")[0]["rollback"] == "off"
    assert collector.events("run_end")[0]["status"] == "finished"
    assert list((home / "spool-remote").iterdir()) == [], "nothing is left where all was confirmed"
    assert list(Path("/dev/shm").glob(f"trimtab-{watch.run}*")) == []


def test_times_are_unix_seconds_and_the_first_step_has_no_duration(
    collector: RecordingCollector, home: Path
) -> None:
    before = time.time()
    with start(collector) as watch:
        for _ in range(3):
            watch.step(loss=1.0)
    seconds = collector.column("step_seconds")
    assert not wire.is_measured(seconds[0])
    assert all(0 <= value < time.time() - before for value in seconds[1:])
    times = [moment for batch in collector.batches() for moment in batch.time]
    assert before <= times[0] <= times[1] <= times[2] <= time.time()


def test_non_finite_values_arrive_as_they_are(collector: RecordingCollector, home: Path) -> None:
    losses = [1.0, math.nan, math.inf, -math.inf, -0.0, 5e-324]
    with start(collector) as watch:
        for loss in losses:
            watch.step(loss=loss, grad_norm=1.0, lr=0.1)
            watch.step(loss=torch.tensor(loss, dtype=torch.float64))
    assert bits(collector.column("loss")) == bits([loss for loss in losses for _ in range(2)])


def test_a_value_that_cannot_wait_is_sent_at_once(collector: RecordingCollector, home: Path) -> None:
    with start(collector) as watch:
        collector.wait_until(lambda got: bool(got.registrations))
        watch.step(loss=1.0, grad_norm=1.0, lr=0.1)
        watch.step(loss=math.nan, grad_norm=1.0, lr=0.1)
        started = time.monotonic()
        collector.wait_until(lambda got: any(math.isnan(loss) for loss in got.column("loss")))
        assert time.monotonic() - started < 0.9, "the drain of every second would have been later"


def test_any_number_is_taken_and_what_is_none_is_told_once(
    collector: RecordingCollector, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with start(collector) as watch:
        for value in (1, np.float32(1), torch.tensor(1.0, requires_grad=True), torch.tensor([1.0])):
            watch.step(loss=value)
        for bad in ("1.0", torch.zeros(2), object()):
            watch.step(loss=bad, accuracy=0.5)
        watch.step(loss=None)
    assert collector.column("loss")[:4] == [1.0] * 4
    assert not any(map(wire.is_measured, collector.column("loss")[4:]))
    assert collector.rows() == list(range(1, 9)), "the rest of the step is kept"
    (dropped,) = collector.events("samples_dropped")
    assert (dropped["count"], dropped["reason"]) == (3, "not a number: loss")
    assert caplog.text.count("loss: ") == 1


def test_lr_and_gradient_norm_come_from_the_optimizer(collector: RecordingCollector, home: Path) -> None:
    model, optimizer = model_and_optimizer()
    with start(collector, model, optimizer) as watch:
        train_step(model, optimizer)
        norm = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
        watch.step(loss=1.0)
        train_step(model, optimizer)
        watch.step(loss=1.0, lr=0.5, grad_norm=3.0)
    assert collector.column("lr") == [0.1, 0.5]
    assert collector.column("grad_norm") == pytest.approx([float(norm), 3.0])
    assert collector.registrations[watch.run]["parameters"] == 5


def test_other_metrics_are_kept_and_none_is_not_measured(collector: RecordingCollector, home: Path) -> None:
    with start(collector) as watch:
        others: dict[str, Any] = {"grad_norm/head": 2.0, "eval_loss": None}
        watch.step(loss=1.0, **others)
        watch.step(loss=1.0, eval_loss=3.0)
    assert bits(collector.column("eval_loss")) == bits([wire.NOT_MEASURED, 3.0])
    assert bits(collector.column("grad_norm/head")) == bits([2.0, wire.NOT_MEASURED])


def test_a_metric_may_have_any_name(collector: RecordingCollector, home: Path) -> None:
    with start(collector) as watch:
        watch.step(self=1.5)
        watch.record(self=2.5)
    assert collector.column("self") == [1.5, 2.5]


def test_a_list_of_models_is_watched_again_by_its_elements(collector: RecordingCollector, home: Path) -> None:
    model, optimizer = model_and_optimizer()
    first = start(collector, [model], [optimizer])
    with start(collector, [model], [optimizer]):
        assert first.over is not None


def test_a_step_that_goes_backwards_begins_an_attempt(collector: RecordingCollector, home: Path) -> None:
    with start(collector) as watch:
        for step in (10, 11, 11, 12, 11, np.int64(12)):
            watch.step(loss=1.0, step=step)
        assert watch.step(loss=1.0, step="x").step == 13
    assert collector.rows(attempt=0) == [10, 11, 11, 12]
    assert collector.rows(attempt=1) == [11, 12, 13]
    assert collector.batches(attempt=1)[0].seq == 0


def test_phases_and_checkpoints_are_told_at_their_step(
    collector: RecordingCollector, home: Path, tmp_path: Path
) -> None:
    model, _ = model_and_optimizer()
    with start(collector, model) as watch:
        watch.step(loss=1.0)
        with watch.phase("eval"):
            time.sleep(0.2)
        watch.step(loss=1.0)
        watch.checkpoint_saved(tmp_path / "step-2.pt")
        with torch.no_grad():
            next(model.parameters()).fill_(math.nan)
        watch.step(loss=math.nan)
        watch.checkpoint_saved(tmp_path / "step-3.pt")
    assert [(event["phase"], event["step"]) for event in collector.events("phase")] == [
        ("eval", 1),
        ("train", 1),
    ]
    assert collector.column("step_seconds")[1] < 0.2, "evaluation is not training time"
    first, second = collector.events("checkpoint_saved")
    assert (first["where"], first["step"], first["finite"], first["path"]) == (
        "disk",
        2,
        True,
        str(tmp_path / "step-2.pt"),
    )
    assert (second["step"], second["finite"], second["every"]) == (3, False, 1)


def test_a_rollback_is_obeyed_at_the_next_step(collector: RecordingCollector, home: Path) -> None:
    model, optimizer = model_and_optimizer()
    with start(collector, model, optimizer, rollback="auto") as watch:
        kept: list[torch.Tensor] = []
        for _ in range(10):
            loss = train_step(model, optimizer)
            kept.append(next(model.parameters()).detach().clone())
            watch.step(loss=loss)
        collector.commands = [Command(id="c1", kind="rollback", to_step=10, lr_factor=0.5, reason="spike")]
        for _ in range(2000):
            result = watch.step(loss=train_step(model, optimizer))
            if result.rolled_back:
                break
            time.sleep(0.01)
        assert result.rolled_back
        assert result.step == watch.step_number == 10
        assert torch.equal(next(model.parameters()), kept[9])
        assert optimizer.param_groups[0]["lr"] == 0.05
        watch.step(loss=1.0)
    assert collector.rows(attempt=1) == [11]
    (applied,) = collector.events("command_applied")
    assert (applied["command"], applied["outcome"], applied["to_step"]) == ("c1", "applied", 10)
    assert (applied["from_step"], applied["new_attempt"]) == (collector.rows(attempt=0)[-1], 1)
    assert collector.batches(attempt=1)[0].events[0]["kind"] == "command_applied"
    ledger = (home / "rollbacks" / f"{watch.run}.r0.jsonl").read_text()
    assert '"phase": "begin"' in ledger
    assert '"phase": "applied"' in ledger


def test_a_stop_is_told_from_then_on(collector: RecordingCollector, home: Path) -> None:
    collector.commands = [Command(id="c1", kind="stop")]
    model, optimizer = model_and_optimizer()
    with start(collector, model, optimizer, rollback="auto") as watch:
        for _ in range(2000):
            if watch.step(loss=1.0).stop:
                break
            time.sleep(0.005)
        assert watch.step(loss=1.0).stop
    assert collector.events("command_applied")[0]["outcome"] == "applied"


@pytest.mark.parametrize("mode", ["off", "advise"])
def test_without_the_owners_leave_a_command_is_refused(
    collector: RecordingCollector, home: Path, mode: Any
) -> None:
    collector.commands = [Command(id="c1", kind="rollback", to_step=1)]
    model, optimizer = model_and_optimizer()
    with start(collector, model, optimizer, rollback=mode) as watch:
        deadline = time.monotonic() + 20
        while collector.commands and time.monotonic() < deadline:
            assert not watch.step(loss=1.0).rolled_back
            time.sleep(0.005)
    (answer,) = collector.events("command_applied")
    assert (answer["outcome"], answer["command"]) == ("refused", "c1")
    assert mode in answer["detail"]


def test_an_outage_is_sat_out_and_the_history_has_no_hole(home: Path) -> None:
    collector = RecordingCollector()
    with collector.running():
        watch = start(collector)
        for _ in range(100):
            watch.step(loss=1.0)
        collector.wait_until(lambda got: got.rows() == list(range(1, 101)))
    for _ in range(100):
        watch.step(loss=2.0)
    with collector.running():
        watch.close()
    assert collector.rows() == list(range(1, 201))


@pytest.mark.parametrize(
    "trouble",
    [Answer(500, b"x"), Answer(429, b"", retry_after=0), Answer(200, b"<html/>"), problem(403, "no")],
)
def test_a_troubled_collector_gets_it_all_once_it_is_well(
    collector: RecordingCollector, home: Path, trouble: Answer
) -> None:
    collector.replies = [lambda: trouble] * 3
    watch = start(collector)
    for _ in range(50):
        watch.step(loss=1.0)
    collector.wait_until(lambda got: len(got.rows()) == 50)
    watch.close()
    assert collector.rows() == list(range(1, 51))


def test_what_is_refused_for_good_is_put_aside_and_told(collector: RecordingCollector, home: Path) -> None:
    collector.replies = [lambda: None, lambda: problem(422, "step[0]: 1: it is too early")]
    watch = start(collector)
    watch.step(loss=math.nan, grad_norm=1.0, lr=0.1)
    deadline = time.monotonic() + 20
    while not (home / "spool-remote" / "rejected").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.step(loss=1.0)
    watch.close()
    assert collector.rows() == [2]
    (dropped,) = collector.events("samples_dropped")
    assert "it is too early" in dropped["reason"]
    names = sorted(path.suffix for path in (home / "spool-remote" / "rejected").iterdir())
    assert names == [".msgpack", ".txt"]


def test_a_collector_that_hangs_does_not_hold_training_or_its_end(
    collector: RecordingCollector, home: Path
) -> None:
    release = threading.Event()

    def hang() -> None:
        release.wait(60)

    collector.replies = [hang]
    started = time.monotonic()
    watch = start(collector)
    for _ in range(20_000):
        watch.step(loss=1.0, lr=0.1, grad_norm=1.0)
    watch.close()
    assert time.monotonic() - started < 20
    release.set()
    rows: list[int] = []
    sweep(home / "spool-remote", lambda _, record: rows.append(record.rows))
    assert sum(rows) == 20_000, "it is there for the next job to send"


def test_in_a_folder_that_was_deleted_the_run_is_watched_all_the_same(
    collector: RecordingCollector, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path / "scratch")
    (tmp_path / "scratch").rmdir()
    with trimtab.watch(url=collector.url) as watch:
        watch.step(loss=2.5)
    assert collector.column("loss") == [2.5]
    assert collector.registrations[watch.run]["project"] == "default"


def test_without_a_folder_the_run_is_watched_all_the_same(
    collector: RecordingCollector, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home.write_text("a file where the folder should be")
    with start(collector) as watch:
        for _ in range(10):
            watch.step(loss=1.0)
    assert collector.rows() == list(range(1, 11))
    assert "lost if this process is killed" in caplog.text


def test_closing_twice_is_once_and_a_later_step_is_told_once(
    collector: RecordingCollector, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = start(collector)
    watch.step(loss=1.0)
    watch.close()
    watch.close()
    for _ in range(3):
        watch.step(loss=1.0)
        watch.checkpoint_saved("x")
        with watch.phase("eval"):
            pass
    assert collector.rows() == [1]
    assert len(collector.events("run_end")) == 1
    assert caplog.text.count("is ignored: it was closed") == 1


def test_a_block_that_raises_is_a_run_that_failed(collector: RecordingCollector, home: Path) -> None:
    watch = start(collector)
    watch.step(loss=1.0)
    with pytest.raises(ZeroDivisionError), watch:
        raise ZeroDivisionError("in the user's code")
    (end,) = collector.events("run_end")
    assert (end["status"], end["reason"]) == ("failed", "ZeroDivisionError: in the user's code")


def test_watching_the_same_model_again_ends_the_first_run(collector: RecordingCollector, home: Path) -> None:
    model, optimizer = model_and_optimizer()
    first = start(collector, model, optimizer)
    first.step(loss=1.0)
    with start(collector, model, optimizer) as second:
        second.step(loss=2.0)
        assert first.over is not None
    assert collector.events("run_end", first.run)[0]["status"] == "finished"
    assert (collector.rows(first.run), collector.rows(second.run)) == ([1], [1])


def test_what_holds_a_watch_can_be_copied_and_pickled(
    collector: RecordingCollector, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, optimizer = model_and_optimizer()
    with start(collector, model, optimizer) as watch:
        model.telemetry = watch  # type: ignore[assignment]
        averaged: Any = copy.deepcopy(model)
        there: Any = pickle.loads(pickle.dumps(model))
        assert averaged.telemetry is watch
        assert copy.copy(watch) is watch
        assert there.telemetry.step(loss=1.0).step == 1
        assert there.telemetry.run == watch.run
        train_step(model, optimizer)
        watch.step(loss=2.0)
    assert collector.column("loss") == [2.0]
    assert "call trimtab.watch() in this process" in caplog.text


def test_an_optimizer_is_watched_once_in_whatever_wrapper(collector: RecordingCollector, home: Path) -> None:
    _, optimizer = model_and_optimizer()
    first = start(collector, None, Wrapper(optimizer))
    with start(collector, None, optimizer):
        assert first.over is not None


@pytest.mark.parametrize("rollback", ["off", "auto"])
def test_a_closed_run_does_not_keep_its_model(
    collector: RecordingCollector, home: Path, rollback: Literal["off", "auto"]
) -> None:
    model, optimizer = model_and_optimizer()
    watch = start(collector, model, optimizer, rollback=rollback)
    train_step(model, optimizer)
    watch.step(loss=1.0)
    watch.close()
    there: list[weakref.ref[Any]] = [weakref.ref(model), weakref.ref(optimizer)]
    del watch, model, optimizer
    gc.collect()
    assert [each() for each in there] == [None, None]


def test_two_models_are_two_runs_at_once(collector: RecordingCollector, home: Path) -> None:
    with start(collector, model_and_optimizer()[0]) as one, start(collector, model_and_optimizer()[0]) as two:
        for _ in range(10):
            one.step(loss=1.0)
            two.step(loss=2.0)
    assert (collector.rows(one.run), collector.rows(two.run)) == (list(range(1, 11)),) * 2
    assert set(collector.column("loss", two.run)) == {2.0}


def test_a_run_that_is_started_again_is_the_next_attempt(
    collector: RecordingCollector, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_RUN", "same")
    for _ in range(2):
        with start(collector) as watch:
            watch.step(loss=1.0, step=5)
            watch.step(loss=1.0, step=4)
    assert sorted({batch.attempt for batch in collector.batches("same")}) == [0, 1, 2, 3]


def test_threads_may_call_at_once(collector: RecordingCollector, home: Path) -> None:
    with start(collector) as watch:

        def work() -> None:
            for _ in range(2000):
                watch.step(loss=1.0, lr=0.1, grad_norm=1.0)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert collector.rows() == list(range(1, 8001))


def test_an_error_of_its_own_never_reaches_the_loop(
    collector: RecordingCollector, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Trap:
        def __index__(self) -> int:
            raise LookupError("a trap")

    with start(collector) as watch:
        for _ in range(3):
            watch.step(loss=1.0, step=Trap())
        watch.step(loss=1.0)
    assert collector.rows() == [1]
    (error,) = collector.events("hook_error")
    assert (error["where"], error["error"], error["count"]) == ("step", "LookupError: a trap", 3)
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_an_interrupt_passes_and_the_next_step_works(collector: RecordingCollector, home: Path) -> None:
    class Interrupt:
        def __float__(self) -> float:
            raise KeyboardInterrupt

    with start(collector) as watch:
        with pytest.raises(KeyboardInterrupt):
            watch.step(loss=Interrupt())
        watch.step(loss=1.0)
    assert collector.column("loss") == [1.0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"rollback": "yes"}, "rollback"),
        ({"rollback": "auto"}, "rollback"),
        ({"url": "localhost:8787"}, "url"),
        ({"project": 3}, "project"),
        ({"project": " "}, "project"),
        ({"name": 3}, "name"),
        ({"total_steps": 0}, "total_steps"),
        ({"tokens_per_step": "many"}, "tokens_per_step"),
    ],
)
def test_a_wrong_argument_is_told_before_training_starts(
    home: Path, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        trimtab.watch(**{"project": "p", "url": "http://127.0.0.1:9", **arguments})


def test_what_is_switched_off_costs_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRIMTAB_DISABLED", "1")
    with trimtab.watch(project="p") as watch:
        assert [watch.step(loss=1.0).step for _ in range(3)] == [1, 2, 3]
    assert not home.exists()
    assert caplog.text.count("TRIMTAB_DISABLED") == 1
