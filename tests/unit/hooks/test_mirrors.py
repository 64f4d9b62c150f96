"""Mirrors: what they are handed, and that one that blocks or raises holds up nobody."""

from __future__ import annotations

import logging
import math
import threading
from array import array
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from trimtab.guard import Tally
from trimtab.outbound.mirror_targets import Target, target_of, targets_of
from trimtab.outbound.mirrors import MOST_FAILURES, MOST_ROWS, Mirrors, rows_of
from trimtab.outbound.packer import Part
from trimtab.vocabulary import NOT_MEASURED

Written = list[tuple[int, dict[str, float]]]


def part(steps: range, **columns: list[float]) -> Part:
    made = Part(0, 0, array("q", steps), array("d", [0.0] * len(steps)))
    made.metrics = {name: array("d", column) for name, column in columns.items()}
    return made


def losses(steps: range) -> Part:
    return part(steps, loss=[float(step) for step in steps])


class Scalars:
    """A writer as TensorBoard's are."""

    def __init__(self) -> None:
        self.got: list[tuple[str, float, int]] = []
        self.flushed = 0

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.got.append((tag, value, step))

    def flush(self) -> None:
        self.flushed += 1


class Client:
    """MLflow's client, as far as it is used: `log_metric(run_id, key, value, timestamp=None, step=None)`."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, float, int | None]] = []

    def log_metric(
        self, run_id: str, key: str, value: float, timestamp: int | None = None, step: int | None = None
    ) -> None:
        self.got.append((run_id, key, value, step))


class Mlflow(ModuleType):
    """MLflow's module, as far as it is used; its active run is active in the thread that began it only."""

    def __init__(self, run: str | None) -> None:
        super().__init__("mlflow")
        self._active = threading.local()
        self._active.run = run
        self.got: list[tuple[dict[str, float], int | None, str | None]] = []

    def active_run(self) -> Any:
        run = getattr(self._active, "run", None)
        return run and SimpleNamespace(info=SimpleNamespace(run_id=run))

    def log_metrics(
        self,
        metrics: dict[str, float],
        step: int | None = None,
        synchronous: bool | None = None,
        run_id: str | None = None,
    ) -> None:
        self.got.append((metrics, step, run_id))


class Run:
    """A run of wandb's: `log(data, step=None)`."""

    def __init__(self) -> None:
        self.got: Written = []

    def log(self, data: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        self.got.append((step, data))


def mirrored(given: Any, *parts: Part) -> Tally:
    """Write parts to a mirror, to the end."""
    drops = Tally()
    mirrors = Mirrors(targets_of(given), drops)
    mirrors.start()
    for each in parts:
        mirrors.put(each)
    mirrors.end()
    mirrors.join(20.0)
    return drops


def test_a_row_is_what_was_measured_in_it() -> None:
    rows = part(range(1, 4), loss=[2.0, math.nan, math.inf], lr=[NOT_MEASURED, 0.5, NOT_MEASURED])
    first, second, third = rows_of(rows)
    assert (first, third) == ((1, {"loss": 2.0}), (3, {"loss": math.inf}))
    assert math.isnan(second[1]["loss"])
    assert second[1]["lr"] == 0.5


def test_a_writer_gets_each_value_and_is_flushed_at_the_end() -> None:
    writer = Scalars()
    mirrored(writer, part(range(1, 3), loss=[2.0, 1.5], lr=[0.5, 0.25]), losses(range(3, 53)))
    assert writer.got[:4] == [("loss", 2.0, 1), ("lr", 0.5, 1), ("loss", 1.5, 2), ("lr", 0.25, 2)]
    assert writer.got[4:] == [("loss", float(step), step) for step in range(3, 53)]
    assert writer.flushed == 1


def test_mlflow_is_told_which_run_as_another_thread_has_none() -> None:
    module = Mlflow("run-7")
    mirrored(module, losses(range(1, 51)))
    assert module.got == [({"loss": float(step)}, step, "run-7") for step in range(1, 51)]


def test_a_client_of_mlflow_needs_its_run() -> None:
    client = Client()
    mirrored((client, "run-7"), losses(range(1, 51)))
    assert client.got == [("run-7", "loss", float(step), step) for step in range(1, 51)]


def test_a_run_of_wandb_a_function_and_a_list_of_both() -> None:
    run, written = Run(), []
    mirrored([run, lambda step, values: written.append((step, values))], losses(range(1, 51)))
    assert run.got == written == [(step, {"loss": float(step)}) for step in range(1, 51)]


def test_steps_lived_again_are_written_again() -> None:
    run = Run()
    mirrored(run, losses(range(1, 4)), losses(range(2, 5)))
    assert [step for step, _ in run.got] == [1, 2, 3, 2, 3, 4]


@pytest.mark.parametrize("wrong", [3, "tensorboard", object(), Scalars, logging.getLogger("some"), (1, 2)])
def test_what_cannot_be_written_to_is_refused_with_what_could(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"also: .*nothing can be written to it: give an object with"):
        targets_of(wrong)


def test_mlflow_without_a_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mlflow has no active run: call mlflow\.start_run"):
        targets_of(Mlflow(None))


@pytest.mark.parametrize("kind", [OSError, SystemExit])
def test_one_that_raises_is_told_once_counted_and_given_up(
    caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    def refuse(step: int, values: dict[str, float]) -> None:
        raise kind("the disk is full")

    drops = mirrored(refuse, losses(range(1, 101)))
    assert sum(drops.take().values()) == 100
    told = [record.getMessage() for record in caplog.records]
    assert len([each for each in told if "the disk is full" in each]) == 1
    assert [each for each in told if f"failed {MOST_FAILURES} times in a row, and is given up" in each]


def test_a_failure_now_and_then_is_no_reason_to_give_up() -> None:
    written: list[int] = []

    def moody(step: int, values: dict[str, float]) -> None:
        if step % 2:
            raise OSError("not now")
        written.append(step)

    drops = mirrored(moody, losses(range(1, 101)))
    assert written == list(range(2, 101, 2))
    assert sum(drops.take().values()) == 50


def test_one_that_blocks_delays_nobody_and_what_overflows_is_counted() -> None:
    gate, entered, written = threading.Event(), threading.Event(), []

    def block(step: int, values: dict[str, float]) -> None:
        entered.set()
        gate.wait(30)

    other = Target("other", lambda step, values: written.append(step))
    drops = Tally()
    mirrors = Mirrors([target_of(block), other], drops)
    mirrors.start()
    mirrors.put(losses(range(1)))
    assert entered.wait(20)
    mirrors.put(losses(range(MOST_ROWS - 1)))
    mirrors.put(losses(range(10)))
    assert next(iter(drops.take().values())) == 10
    mirrors.end()
    mirrors.join(0.1)
    gate.set()
    assert written[0] == 0
