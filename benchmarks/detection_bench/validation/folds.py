"""Which curves belong together: those that must not stand on both sides of a fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from detection_bench.curves import Curve

FoldOf = Callable[[Curve], str]

WORKLOADS: Final = (
    *("librispeech_conformer", "librispeech_deepspeech", "imagenet_resnet", "imagenet_vit"),
    *("criteo1tb", "fastmri", "ogbg", "wmt", "gluoncv", "gluonnlp", "gnmt", "maskrcnn", "ssd"),
    *("-a2c", "-impala", "-ppo", "-sac"),
)
"""Parts of file names that name a task, where one source holds many."""


def by_source(curve: Curve) -> str:
    """The repository that it comes from: the strict way."""
    return curve.source


def by_group(curve: Curve) -> str:
    """The repository and, in it, the group that the index names, else the task in the file's name."""
    part = curve.group or next((word.strip("-") for word in WORKLOADS if word in curve.name), "")
    return f"{curve.source} {part}".strip()
