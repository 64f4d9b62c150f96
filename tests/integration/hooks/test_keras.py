"""The callback in a real `fit` of Keras, against a collector that keeps all it is sent."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trimtab import wire
from trimtab.testing import RecordingCollector

os.environ["KERAS_BACKEND"] = "torch"  # read once, when it is imported
import keras  # type: ignore[import-untyped]

from trimtab.integrations.keras import TrimtabCallback, Unaveraged

ROWS, BATCH, EPOCHS = 200, 16, 4
STEPS = EPOCHS * math.ceil(ROWS / BATCH)


def measured(collector: RecordingCollector, metric: str) -> dict[int, float]:
    """Return what was measured of a metric, by step."""
    pairs = zip(collector.rows(), collector.column(metric), strict=True)
    return {step: value for step, value in pairs if wire.is_measured(value)}


@pytest.fixture
def collector(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingCollector]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are tiny
    with RecordingCollector().running() as collector:
        monkeypatch.setenv("TRIMTAB_URL", collector.url)
        yield collector
    torch.set_num_threads(threads)


class Noting(keras.Model):  # type: ignore[misc]
    """A model that notes each step's values by other means than the callback's, and may be poisoned."""

    def __init__(self, poison: int = 0) -> None:
        super().__init__(name="tiny")
        keras.utils.set_random_seed(3)
        self.inner = keras.layers.Dense(8, activation="tanh")
        self.outer = keras.layers.Dense(1)
        self.poison = poison
        self.losses_seen: list[float] = []
        self.norms: list[float] = []
        self.rates: list[float] = []

    def call(self, inputs: Any) -> Any:
        return self.outer(self.inner(inputs))

    def compute_loss(self, *args: Any, training: bool = True, **kwargs: Any) -> Any:
        loss = super().compute_loss(*args, training=training, **kwargs)
        if training and len(self.losses_seen) + 1 == self.poison:
            loss = loss * math.nan
        if training:
            self.losses_seen.append(float(loss.detach()))
        return loss

    def train_step(self, data: Any) -> Any:
        self.rates.append(float(self.optimizer.learning_rate))
        told = super().train_step(data)
        gradients = [weight.value.grad for weight in self.trainable_variables]
        self.norms.append(math.sqrt(sum(float(g.double().square().sum()) for g in gradients)))
        return told


def fit(*callbacks: Any, poison: int = 0, validate: bool = False, **optimizer: Any) -> tuple[Noting, Any]:
    model = Noting(poison)
    rate = keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=5, decay_rate=0.9)
    model.compile(optimizer=keras.optimizers.SGD(rate, **optimizer), loss="mse", metrics=["mae"])
    inputs = np.random.default_rng(1).normal(size=(ROWS, 6)).astype("float32")
    labels = np.square(inputs).sum(1, keepdims=True)
    history = model.fit(
        inputs,
        labels,
        batch_size=BATCH,
        epochs=EPOCHS,
        verbose=0,
        callbacks=list(callbacks),
        validation_data=(inputs[:20], labels[:20]) if validate else None,
    )
    return model, history


def by_step(values: list[float]) -> Any:
    return pytest.approx(dict(enumerate(values, 1)), rel=1e-5, nan_ok=True)


@pytest.mark.parametrize(
    "optimizer", [{}, {"clipnorm": 0.1}, {"loss_scale_factor": 8.0}, {"gradient_accumulation_steps": 2}]
)
def test_every_batch_is_one_row_with_its_own_values(
    collector: RecordingCollector, optimizer: dict[str, Any]
) -> None:
    model, _ = fit(TrimtabCallback(project="tiny"), **optimizer)
    factor = optimizer.get("loss_scale_factor", 1.0)
    assert len(model.losses_seen) == STEPS >= 50
    assert measured(collector, "loss") == by_step(model.losses_seen)
    assert measured(collector, "grad_norm") == by_step([norm / factor for norm in model.norms])
    assert measured(collector, "lr") == by_step(model.rates)
    assert [event["status"] for event in collector.events("run_end")] == ["finished"]


def test_a_nan_is_seen_at_its_step(collector: RecordingCollector) -> None:
    fit(TrimtabCallback(), poison=STEPS)
    assert [step for step, loss in measured(collector, "loss").items() if math.isnan(loss)] == [STEPS]


def test_validation_is_recorded_and_is_no_training(collector: RecordingCollector) -> None:
    model, history = fit(TrimtabCallback(), validate=True)
    ends = [STEPS // EPOCHS * epoch for epoch in range(1, EPOCHS + 1)]
    assert list(measured(collector, "eval_loss")) == list(measured(collector, "eval_mae")) == ends
    assert list(measured(collector, "eval_loss").values()) == pytest.approx(
        [float(loss) for loss in history.history["val_loss"]]
    )
    assert measured(collector, "loss") == by_step(model.losses_seen)
    assert [event["phase"] for event in collector.events("phase")] == ["eval", "train"] * EPOCHS


def test_the_run_is_described_by_what_keras_knows(collector: RecordingCollector) -> None:
    fit(TrimtabCallback(project="tiny"))
    (registration,) = collector.registrations.values()
    assert (registration["project"], registration["total_steps"]) == ("tiny", STEPS)
    assert registration["config"]["model"] == "tiny"
    assert registration["config"]["optimizer"]["momentum"] == 0.0
    assert registration["parameters"] == 6 * 8 + 8 + 8 + 1


def test_each_fit_is_a_run_and_goes_on_where_the_optimizer_is(collector: RecordingCollector) -> None:
    callback = TrimtabCallback()
    model, _ = fit(callback)
    inputs = np.zeros((BATCH, 6), "float32")
    model.fit(inputs, inputs[:, :1], batch_size=BATCH, verbose=0, callbacks=[callback])
    assert len(collector.registrations) == 2
    assert collector.rows(list(collector.registrations)[1]) == [STEPS + 1]
    assert "compute_loss" not in vars(model)


def test_a_fit_that_goes_on_counts_the_batches_that_are_left(collector: RecordingCollector) -> None:
    callback = TrimtabCallback()
    model, _ = fit(callback, gradient_accumulation_steps=2)
    inputs = np.zeros((BATCH, 6), "float32")
    model.fit(
        inputs, inputs[:, :1], batch_size=BATCH, verbose=0, callbacks=[callback], epochs=5, initial_epoch=3
    )
    second = list(collector.registrations)[1]
    assert collector.registrations[second]["total_steps"] == STEPS + 2
    assert collector.rows(second) == [STEPS + 1, STEPS + 2]


def test_going_back_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="rollback: 'auto'"):
        TrimtabCallback(rollback="auto")


@pytest.mark.parametrize("count", [3, 2000])
def test_single_losses_come_out_of_their_means(count: int) -> None:
    losses = [4.0 / (1 + step % 7) for step in range(count)]
    means = np.cumsum(losses) / np.arange(1, count + 1)
    found = Unaveraged()
    got = [found.next(float(np.float32(mean))) for mean in means]
    assert got == pytest.approx(losses, abs=2e-3)


def test_after_a_nan_means_say_no_more() -> None:
    found = Unaveraged()
    got = [found.next(mean) for mean in (1.0, math.nan, math.nan)]
    assert got[0] == 1.0
    assert got[1] is not None
    assert math.isnan(got[1])
    assert got[2] is None
