"""The lines that trainers print, and the numbers in them."""

from __future__ import annotations

import math

import pytest

from trimtab.log_numbers import number_of
from trimtab.log_patterns import MOST_CHARACTERS, PATTERNS, own_pattern, plain_text

MEGATRON = (
    " [2025-03-01 10:00:00] iteration      100/  500000 | consumed samples:        51200 | "
    "elapsed time per iteration (ms): 1234.5 | learning rate: 1.500000E-04 | global batch size:   512 | "
    "lm loss: 6.500000E+00 | loss scale: 1.0 | grad norm: 1.250 | number of skipped iterations:   0 | "
    "number of nan iterations:   0 |"
)
TITAN = (
    "[rank0]:[titan] 2025-03-01 10:00:00,123 - root - INFO - \x1b[31mstep: 10  \x1b[32mloss:  7.1250  "
    "\x1b[33mgrad_norm:  1.2500  \x1b[34mmemory: 20.50GiB(25.1%)  \x1b[35mtps: 1,234  mfu: 4.50%\x1b[39m"
)
LINES = [
    (
        "Megatron-LM",
        MEGATRON,
        {
            "step": 100.0,
            "lm_loss": 6.5,
            "learning_rate": 1.5e-4,
            "grad_norm": 1.25,
            "loss_scale": 1.0,
            "step_seconds": 1.2345,
            "consumed_samples": 51200.0,
            "global_batch_size": 512.0,
            "number_of_skipped_iterations": 0.0,
            "number_of_nan_iterations": 0.0,
        },
    ),
    (
        "Megatron-LM",
        " validation loss at iteration 1000 | lm loss value: 2.5E+00 | lm loss PPL: 1.2E+01 | ",
        {"step": 1000.0, "eval_loss": 2.5, "lm_loss_value": 2.5, "lm_loss_ppl": 12.0},
    ),
    (
        "nanoGPT",
        "iter 100: loss 2.5000, time 125.00ms, mfu 3.25%",
        {"step": 100.0, "loss": 2.5, "step_seconds": 0.125, "mfu": 3.25},
    ),
    ("nanoGPT", "step 2000: train loss 1.7648, val loss 1.8857", {"step": 2000.0, "eval_loss": 1.8857}),
    (
        "torchtitan",
        TITAN,
        {"step": 10.0, "loss": 7.125, "grad_norm": 1.25, "memory": 20.5, "tps": 1234.0, "mfu": 4.5},
    ),
    ("torchtitan", "validate step: 100  loss:  6.5", {"step": 100.0, "eval_loss": 6.5}),
    (
        "transformers",
        "{'loss': 2.5, 'grad_norm': 1.25, 'learning_rate': 5e-05, 'epoch': 0.01}",
        {"loss": 2.5, "grad_norm": 1.25, "learning_rate": 5e-5, "epoch": 0.01},
    ),
    (
        "transformers",
        "  1%|▏| 10/1000 [00:05<08:00]{'loss': '2.5', 'grad_norm': '1.25'}",
        {"loss": 2.5, "grad_norm": 1.25},
    ),
    (
        "transformers",
        "{'eval_loss': np.float64(2.5), 'eval_runtime': 3.5}",
        {"eval_loss": 2.5, "eval_runtime": 3.5},
    ),
    (
        "Lightning's progress bar",
        "Epoch 2:  10%|█ | 100/1000 [00:10<01:30, 10.0it/s, v_num=0, train_loss=2.50]",
        {"epoch": 2.0, "step": 2100.0, "train_loss": 2.5},
    ),
    (
        "a step and a loss in each line",
        "2025-03-01 INFO step=12 loss=2.5 lr=1e-3",
        {"step": 12.0, "loss": 2.5, "lr": 1e-3},
    ),
    ("a step and a loss in each line", "[Step 5/100] Train loss = 2.5", {"step": 5.0, "loss": 2.5}),
    ("a step and a loss in each line", "step 1,015/2,000: loss 2.5", {"step": 1015.0, "loss": 2.5}),
    ("a step and a loss in each line", "step 7, loss 2.5", {"step": 7.0, "loss": 2.5}),
]


@pytest.mark.parametrize(("name", "line", "values"), LINES)
def test_each_trainers_line_is_its_own(name: str, line: str, values: dict[str, float]) -> None:
    text = plain_text(line)
    first = next(pattern for pattern in PATTERNS if pattern.read(text))
    assert first.name == name
    assert first.read(text) == pytest.approx(values)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "starting",
        "step 3 of 5",
        "lossless",
        "a loss of 3 files",
        "\x00\x01\xff" * 50,
        "}" * 500,
        "step 1" + " x" * 200 + " loss 2.5",
    ],
)
def test_other_lines_are_none(line: str) -> None:
    assert [pattern.name for pattern in PATTERNS if pattern.read(plain_text(line))] == []


@pytest.mark.parametrize(
    "spelt",
    ["nan", "NaN", "-nan", "NAN", "nan(0x8000)", "-nan(ind)", "1.#QNAN", "-1.#IND", "tensor(nan)"],
)
def test_every_nan_is_one(spelt: str) -> None:
    values = PATTERNS[-1].read(f"step 3 loss {spelt} lr 1")
    assert values is not None
    assert math.isnan(values["loss"])


@pytest.mark.parametrize(
    ("spelt", "value"),
    [
        ("inf", math.inf),
        ("-Infinity", -math.inf),
        ("+INF", math.inf),
        ("1.#INF", math.inf),
        ("-1.#INF00", -math.inf),
        ("∞", math.inf),
        ("1,234,567.5", 1234567.5),
        (".5", 0.5),
        ("np.float64(2.5)", 2.5),
        ("tensor(2.5, device='cuda:0')", 2.5),
        ("1_000", None),
        ("none", None),
        ("nanny", None),
    ],
)
def test_numbers_are_read_as_they_are_written(spelt: str, value: float | None) -> None:
    assert number_of(spelt) == value


def test_a_pattern_of_ones_own_names_what_it_finds() -> None:
    pattern = own_pattern(r"^t=(?P<step>\d+) L=(?P<loss>\S+) took (?P<step_seconds_ms>\S+)$")
    assert pattern.read("t=7 L=2.5 took 250") == {"step": 7.0, "loss": 2.5, "step_seconds": 0.25}
    assert pattern.read("t=7 L=bad took 250") == {"step": 7.0, "step_seconds": 0.25}
    assert pattern.read("something else") is None


@pytest.mark.parametrize("wrong", ["(", r"step (?P<step>\d+)", r"loss (\S+)"])
def test_a_pattern_that_finds_nothing_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"pattern .*: (give a regular expression|name one, such as)"):
        own_pattern(wrong)


def test_of_a_line_without_end_only_the_beginning_is_looked_at() -> None:
    assert len(plain_text("x" * 10**6)) == MOST_CHARACTERS
