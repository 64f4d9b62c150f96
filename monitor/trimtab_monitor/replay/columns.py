"""The columns of a recorded run, by the names that trainers and trackers give them, and their values."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from trimtab import wire
from trimtab.log_numbers import non_finite
from trimtab.usual_names import METRIC_NAMES, STEP_NAMES, named, spelt

LAYER_PREFIX: Final = f"{wire.GRAD_NORM}/"
"""What begins with it is the gradient norm of a layer or group, and keeps its name."""

TIME_NAMES: Final = ("timestamp", "wall_time", "unix_time", "time", "datetime", "created_at")
NO_METRICS: Final = frozenset((*STEP_NAMES, *TIME_NAMES, ""))

NAMES_READ: Final = 1000
NAMES_TOLD: Final = 20
LOSSES_TOLD: Final = 3
COUNT_ROWS: Final = "none"
MOST_STEPS: Final = 2**53
"""Above it, not every whole number is a number of its own in JSON and in CSV."""
NOT_MEASURED: Final = frozenset({"", "null", "none"})


class UnreadableRun(ValueError):  # noqa: N818 - a state of the file, told as such
    """A recorded run that cannot be read: which file and line, what is wrong, and the remedy."""

    def __init__(self, path: Path, line: int | None, problem: str, remedy: str) -> None:
        place = str(path) if line is None else f"{path}:{line}"
        super().__init__(f"{place}: {problem}; {remedy}")


class NoRun(UnreadableRun):
    """A file that is no recorded run: it may be whole, and yet there is nothing in it to look at."""


class DamagedRun(UnreadableRun):
    """A recorded run that was read up to a place, and cannot be read beyond it."""

    READ: Final = "what came before it was read"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, None, problem, self.READ)


@dataclass(frozen=True, slots=True)
class Columns:
    """What the loss and the step are called; None: one of their usual names.

    A step that is called `none`, where no column is, means that rows are counted. `everything`: what stands
    for no standard metric is read too, under its own name, and so is when a row was measured.
    """

    metric: str | None = None
    step: str | None = None
    everything: bool = False

    @property
    def counted(self) -> bool:
        """Whether it was asked for that rows are counted."""
        return self.step is not None and spelt(self.step) == COUNT_ROWS

    def note_of_losses(self, path: Path, names: Iterable[str], taken: str) -> str | None:
        """Tell that other names could stand for the loss too, and how to choose, unless one was asked for."""
        usual = METRIC_NAMES[wire.LOSS]
        others = sorted(name for name in set(names) if name != taken and spelt(name) in usual)
        if self.metric is not None or not others:
            return None
        more = f" and {len(others) - LOSSES_TOLD} more" if len(others) > LOSSES_TOLD else ""
        return (
            f"{path}: {taken} is taken as the loss, not {', '.join(others[:LOSSES_TOLD])}{more}: "
            "choose with --metric NAME"
        )

    def metrics(self, names: Collection[str]) -> dict[str, str]:
        """Return which name stands for which standard metric. No name stands for two."""
        found: dict[str, str] = {}
        for standard, wanted in METRIC_NAMES.items():
            left = [name for name in names if name not in found.values()]
            asked = self.metric if standard == wire.LOSS else None
            name = named(left, wanted) if asked is None else _asked_for(left, asked)
            if name is not None:
                found[standard] = name
        taken = found.values()
        layers = [name for name in names if name.startswith(LAYER_PREFIX) and name not in taken]
        found |= {name: name for name in layers}
        return found | self._others(names, found.values()) if self.everything else found

    def _others(self, names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
        left = (name for name in names if name not in taken and spelt(name) not in NO_METRICS)
        return {name: name for name in islice(left, NAMES_READ)}

    def time_name(self, names: Collection[str]) -> str | None:
        """Return which name stands for the time of a row, if any does and it is wanted."""
        return named(names, TIME_NAMES) if self.everything else None

    def value(self, path: Path, line: int, standard: str, name: str, raw: object) -> float | None:
        """Return the value of a metric, None where nothing was measured.

        Raises:
            UnreadableRun: it is no number, though its name is that of a standard metric or a layer.
        """
        if standard in METRIC_NAMES or standard.startswith(LAYER_PREFIX):
            return number(path, line, name, raw)
        return _float(raw)

    def step_name(self, names: Collection[str]) -> str | None:
        """Return which name stands for the step, if any does."""
        return named(names, STEP_NAMES) if self.step is None else _asked_for(names, self.step)


def _asked_for(names: Collection[str], asked: str) -> str | None:
    return asked if asked in names else named(names, (spelt(asked),))


def no_loss(path: Path, columns: Columns, names: Iterable[str], of: str = "column") -> UnreadableRun:
    """The error for a file that has no loss."""
    names = set(names)
    if of == "tag" and not names:
        return NoRun(path, None, "holds no scalars", "give an event file in which a loss was logged")
    if columns.metric is not None:
        return no_such(path, columns.metric, names, "--metric", of)
    looked_for = " or ".join(METRIC_NAMES[wire.LOSS][:3])
    return NoRun(
        path, None, f"no {of} {looked_for} ({_list(names, of)})", "name the one to watch with --metric NAME"
    )


def no_step(path: Path, names: Iterable[str]) -> str:
    """The note for a file without a column of steps."""
    remedy = "name it with --step-column NAME, if there is one"
    return f"{path}: no column {STEP_NAMES[0]}: rows are counted from 1; {remedy} ({_list(names, 'column')})"


def no_such(path: Path, name: str, names: Iterable[str], option: str, of: str = "column") -> UnreadableRun:
    """The error for a name that was asked for, and is not there."""
    return NoRun(path, None, f"no {of} {name} ({_list(names, of)})", f"name one of them with {option}")


def _list(names: Iterable[str], of: str) -> str:
    known = sorted(set(names))
    more = f", and {len(known) - NAMES_TOLD} more" if len(known) > NAMES_TOLD else ""
    return f"{of}s: {', '.join(known[:NAMES_TOLD]) or 'none'}{more}"


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
    except OverflowError:
        return None
    except ValueError:
        return non_finite(raw) if isinstance(raw, str) else None


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
