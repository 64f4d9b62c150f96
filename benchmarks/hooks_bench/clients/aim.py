"""Aim, into its local repository, without its sampler of the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

from hooks_bench.clients.client import Client, Log


@contextmanager
def opened(url: str, width: int) -> Iterator[Log]:
    del url, width
    run = import_module("aim").Run(repo=".", system_tracking_interval=None, log_system_params=False)

    def log(step: int, values: Mapping[str, float]) -> None:
        run.track(dict(values), step=step)

    yield log
    run.close()


def read() -> int:
    """Count the steps up to the last that a run knows of; opened for reading only, a killed run has none."""
    aim = import_module("aim")
    last = [-1]
    for chunk in Path(".aim/meta/chunks").iterdir():
        run = aim.Run(chunk.name, repo=".", system_tracking_interval=None, log_system_params=False)
        for metrics in run.meta_run_tree.collect().get("traces", {}).values():
            last += [metric["last_step"] for metric in metrics.values()]
        run.close()
    return max(last) + 1


AIM: Final = Client("aim", "aim", opened, read, share=0.1, environ={"AIM_UI_TELEMETRY_ENABLED": "0"})
