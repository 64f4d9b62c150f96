"""The kinds of finding, in one visible list: which story each belongs to, and how grave it is in it.

Findings of one story that come together are one incident, told by its gravest kind. A plateau beside a loss
spike is another story, and another incident. What is about learning stands by itself, kind by kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Story = Literal["stability", "learning", "speed", "hardware"]
"""stability: the run breaks, and going back may save it; learning: it runs, and learns nothing more;
speed: it is slower than it was; hardware: a machine is not as the others."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind of finding belongs. Of one story, the highest `rank` names the incident."""

    story: Story
    rank: int


KINDS: Final[Mapping[str, Kind]] = {
    "exploding_layer": Kind("stability", 0),
    "grad_explosion": Kind("stability", 1),
    "level_shift": Kind("stability", 2),
    "divergence": Kind("stability", 3),
    "loss_spike": Kind("stability", 4),
    "loss_scale_collapse": Kind("stability", 5),
    "non_finite": Kind("stability", 6),
    "plateau": Kind("learning", 0),
    "overfitting": Kind("learning", 1),
    "dead_layer": Kind("learning", 2),
    "vanishing_gradients": Kind("learning", 3),
    "throughput_drop": Kind("speed", 0),
    "straggler": Kind("speed", 1),
    "faulty_device": Kind("hardware", 0),
}


def breaks_the_run(kind: str) -> bool:
    """Whether an incident of this kind is one that going back may cure.

    >>> breaks_the_run("loss_spike"), breaks_the_run("plateau"), breaks_the_run("hung")
    (True, False, False)
    """
    return kind in KINDS and KINDS[kind].story == "stability"
