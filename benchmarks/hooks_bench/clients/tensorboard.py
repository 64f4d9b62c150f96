"""TensorBoard: torch's SummaryWriter, into event files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Final

from hooks_bench.clients.client import Client, Log

FOLDER: Final = "runs"


@contextmanager
def opened(url: str, width: int) -> Iterator[Log]:
    del url, width
    writer = import_module("torch.utils.tensorboard").SummaryWriter(FOLDER)

    def log(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    yield log
    writer.close()


def read() -> int:
    """Count the steps whose learning rate, the last of the three metrics, is in the event files."""
    module = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(FOLDER, size_guidance={"scalars": 0})
    events.Reload()
    return len({event.step for event in events.Scalars("lr")}) if "lr" in events.Tags()["scalars"] else 0


TENSORBOARD: Final = Client(
    "tensorboard", "tensorboard", opened, read, share=0.25, environ={"TF_CPP_MIN_LOG_LEVEL": "3"}
)
