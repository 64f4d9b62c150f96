"""What can be done to a training run on purpose, and the list of curves that are made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

What = Literal[
    "learning_rate",
    "rate_creep",
    "rate_restart",
    "corrupt_data",
    "growing_noise",
    "new_task",
    "nan",
    "batch_size",
]

TO_THE_END: Final = 1_000_000

KIND: Final[dict[What, str]] = {
    "learning_rate": "spike",
    "rate_creep": "divergence",
    "corrupt_data": "spike",
    "growing_noise": "divergence",
    "new_task": "spike",
    "nan": "nan",
}
"""The kind of event that each makes; those not here are no event: a careful engineer does them on purpose."""


@dataclass(frozen=True, slots=True)
class Injection:
    """One thing done to steps `start` to `start + steps - 1`, counted from 1.

    `strength`: factor on the learning rate or the batch size, growth of the rate a step, or the share of a
    batch's rows that is noise.
    """

    what: What
    start: int
    steps: int = TO_THE_END
    strength: float = 1.0

    def covers(self, step: int) -> bool:
        """Whether it is done to this step."""
        return self.start <= step < self.start + self.steps

    @property
    def first_seen(self) -> int:
        """The first step whose loss or gradient norm can show it: a rate moves the weights of the next."""
        return self.start + 1 if self.what in ("learning_rate", "rate_creep") else self.start

    @property
    def kind(self) -> str | None:
        """The kind of event that it makes; none: no event. What never ends and does not grow is a level."""
        kind = KIND.get(self.what)
        stays = self.steps == TO_THE_END
        return "level_shift" if kind == "spike" and stays and self.what != "new_task" else kind


@dataclass(frozen=True, slots=True)
class Base:
    """A healthy run, which every injection is made into and compared with."""

    name: str
    seed: int
    rows: int
    learning_rate: float


QUIET: Final = Base("quiet", seed=1, rows=32, learning_rate=3e-3)
NOISY: Final = Base("noisy", seed=2, rows=6, learning_rate=1.5e-3)
SLOW: Final = Base("slow", seed=3, rows=16, learning_rate=6e-4)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One curve: a base, what was done to it, and a sentence on it."""

    name: str
    base: Base
    injections: tuple[Injection, ...] = field(default=())
    note: str = "nothing injected"


RECIPES: Final = (
    Recipe("clean_quiet", QUIET),
    Recipe("clean_noisy", NOISY),
    Recipe("clean_slow", SLOW),
    Recipe(
        "rate_x30",
        QUIET,
        (Injection("learning_rate", 241, 10, 30.0),),
        "learning rate 30 times too high for 10 steps",
    ),
    Recipe(
        "rate_x20_stays",
        QUIET,
        (Injection("learning_rate", 301, strength=20.0),),
        "learning rate 20 times too high from step 301 on",
    ),
    Recipe("corrupt_shard", QUIET, (Injection("corrupt_data", 201, 12),), "12 batches of random bytes"),
    Recipe(
        "corrupt_shard_noisy", NOISY, (Injection("corrupt_data", 331, 20, 0.5),), "20 half-random batches"
    ),
    Recipe(
        "bad_batches",
        SLOW,
        (Injection("corrupt_data", 181, 1), Injection("corrupt_data", 321, 1)),
        "two single batches of random bytes",
    ),
    Recipe("nan_gradient", NOISY, (Injection("nan", 361),), "one gradient is NaN at step 361"),
    Recipe(
        "growing_noise",
        QUIET,
        (Injection("growing_noise", 251, strength=0.002),),
        "a share of random rows that grows by 0.2 % a step",
    ),
    Recipe(
        "rate_creep",
        SLOW,
        (Injection("rate_creep", 201, strength=1.03),),
        "learning rate grows by 3 % a step",
    ),
    Recipe(
        "polluted_from_here",
        QUIET,
        (Injection("corrupt_data", 281, strength=0.25),),
        "a quarter of all rows random from step 281 on",
    ),
    Recipe("new_task", SLOW, (Injection("new_task", 261),), "another alphabet from step 261 on"),
    Recipe(
        "batch_x4", NOISY, (Injection("batch_size", 251, strength=4.0),), "batch four times larger: benign"
    ),
    Recipe("batch_quarter", QUIET, (Injection("batch_size", 251, strength=0.25),), "batch a quarter: benign"),
    Recipe(
        "rate_restart",
        QUIET,
        (Injection("rate_restart", 301),),
        "warm-up and cosine of the learning rate start again: benign",
    ),
)
