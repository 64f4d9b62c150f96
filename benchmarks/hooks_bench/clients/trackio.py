"""trackio, into its local SQLite file, without its samplers of the machine."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

from hooks_bench.clients.client import PROJECT, Client, Log


@contextmanager
def opened(url: str, width: int) -> Iterator[Log]:
    del url, width
    trackio = import_module("trackio")
    run = trackio.init(project=PROJECT, embed=False, auto_log_gpu=False, auto_log_cpu=False)

    def log(step: int, values: Mapping[str, float]) -> None:
        del step
        run.log(dict(values))

    yield log
    trackio.finish()


def read() -> int:
    """Count the steps in its database."""
    path = Path(os.environ["TRACKIO_DIR"]) / f"{PROJECT}.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database:
        (count,) = database.execute("SELECT count(DISTINCT step) FROM metrics").fetchone()
    return int(count)


TRACKIO: Final = Client(
    "trackio", "trackio", opened, read, environ={"HF_HUB_OFFLINE": "1", "TRACKIO_DIR": "."}
)
