"""Trimtab: `watch.step`, with a collector behind HTTP in another process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from hooks_bench.clients.client import PROJECT, STANDARD, Client, Log


@contextmanager
def opened(url: str, width: int) -> Iterator[Log]:
    import trimtab

    with trimtab.watch(project=PROJECT, url=url) as watch:

        def named(_: int, values: Mapping[str, float]) -> None:
            watch.step(loss=values["loss"], grad_norm=values["grad_norm"], lr=values["lr"])

        def unpacked(_: int, values: Mapping[str, float]) -> None:
            watch.step(**values)

        yield named if width == len(STANDARD) else unpacked
        if watch.over is not None:
            raise RuntimeError(f"nothing was watched: {watch.over}")


TRIMTAB: Final = Client("trimtab", "trimtab", opened, read=None)
