"""Which curves belong together: those that must not stand on both sides of a fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from detection_bench.curves import Curve

FoldOf = Callable[[Curve], str]

WORKLOADS: Final = {
    **{
        part: part
        for part in ("librispeech", "imagenet", "criteo1tb", "fastmri", "ogbg", "gluoncv", "gluonnlp")
    },
    "wmt": "wmt",
    "gnmt": "wmt",
    "maskrcnn": "coco",
    "ssd": "coco",
    "-a2c": "a2c",
    "-impala": "impala",
    "-ppo": "ppo",
    "-sac": "sac",
}
"""The data set or task that a part of a file's name tells, where one source holds many.

Models of one data set see the same batches, hard ones among them: they belong together.
"""


def by_source(curve: Curve) -> str:
    """The repository that it comes from: the strict way."""
    return curve.source


def by_group(curve: Curve) -> str:
    """The repository and, in it, the group that the index names, else the data set in the file's name."""
    part = curve.group or next((told for word, told in WORKLOADS.items() if word in curve.name), "")
    return f"{curve.source} {part}".strip()
