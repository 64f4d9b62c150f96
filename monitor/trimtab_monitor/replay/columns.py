"""The columns of a recorded run, by the names that trainers and trackers give them, and their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from trimtab import wire

STEP_NAMES: Final = (
    "step",
    "global_step",
    "iteration",
    "_step",
    "iter",
    "train_step",
    "trainer/global_step",
    "train/global_step",
)
METRIC_NAMES: Final[dict[str, tuple[str, ...]]] = {
    wire.LOSS: ("loss", "train_loss", "train/loss", "training_loss", "total_loss", "lm loss"),
    wire.GRAD_NORM: ("grad_norm", "train/grad_norm", "train_grad_norm", "gradient_norm", "gnorm"),
    wire.LR: ("lr", "learning_rate", "train/learning_rate", "train/lr", "learning-rate"),
    wire.LOSS_SCALE: ("loss_scale", "train/loss_scale"),
}
MOST_STEPS: Final = 2**53
"""Above it, not every whole number is a number of its own in JSON and in CSV."""
NOT_MEASURED: Final = frozenset({"", "null", "none"})


class UnreadableRun(ValueError):  # noqa: N818 - a state of the file, told as such
    """A recorded run that cannot be read: which file and line, what is wrong, and the remedy."""

    def __init__(self, path: Path, line: int | None, problem: str, remedy: str) -> None:
        place = str(path) if line is None else f"{path}:{line}"
        super().__init__(f"{place}: {problem}; {remedy}")


def named(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """Return the one of `names` that is called as in `wanted`, the likeliest first; case does not matter."""
    known = {name.strip().lower(): name for name in reversed(list(names))}
    return next((known[name] for name in wanted if name in known), None)


def wanted_names(metric: str | None) -> dict[str, tuple[str, ...]]:
    """What each standard metric may be called, where the loss is called `metric`."""
    return METRIC_NAMES if metric is None else METRIC_NAMES | {wire.LOSS: (metric.lower(),)}


def no_loss(path: Path, metric: str | None, names: Iterable[str]) -> UnreadableRun:
    """The error for a file that has no loss."""
    found = ", ".join(sorted(set(names))[:20]) or "none"
    looked_for = metric if metric is not None else " or ".join(METRIC_NAMES[wire.LOSS][:3])
    return UnreadableRun(
        path, None, f"no column {looked_for} (columns: {found})", "name the one to watch with --metric NAME"
    )


def number(path: Path, line: int, name: str, raw: object) -> float | None:
    """Return the value, non-finite ones included; None where nothing was measured.

    Raises:
        UnreadableRun: it is not a number.
    """
    if raw is None or (isinstance(raw, str) and raw.strip().lower() in NOT_MEASURED):
        return None
    value = _float(raw)
    if value is None:
        remedy = "give a number, NaN, inf, or nothing where not measured"
        raise UnreadableRun(path, line, f"column {name} holds {shown(raw)}", remedy)
    return value


def _float(raw: object) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    if isinstance(raw, str) and "_" in raw:  # Python would take 1_000; no trainer writes it
        return None
    try:
        return float(raw)
    except (ValueError, OverflowError):
        return None


def shown(raw: object) -> str:
    """A value as an error tells it."""
    try:
        shown = repr(raw)
    except ValueError:  # Python refuses to write out whole numbers of thousands of digits
        shown = "a number of thousands of digits"
    return shown if len(shown) <= 40 else shown[:37] + "..."


def whole_step(path: Path, line: int, name: str, raw: object) -> int:
    """Return the step number.

    Raises:
        UnreadableRun: it is not a whole number from 0 to 2**53.
    """
    value = _float(raw)
    if value is None or not value.is_integer() or not 0 <= value <= MOST_STEPS:
        remedy = "give a whole step number, from 0 to 2**53"
        raise UnreadableRun(path, line, f"column {name} holds {shown(raw)}", remedy)
    return int(value)
