"""The clients that are measured, each in a file of its own that imports it only when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hooks_bench.clients import aim, floor, mlflow, tensorboard, trackio, trimtab, wandb
from hooks_bench.clients.client import Client

CLIENTS: Final[Mapping[str, Client]] = {
    client.name: client
    for client in (
        floor.FLOOR,
        trimtab.TRIMTAB,
        trackio.TRACKIO,
        tensorboard.TENSORBOARD,
        wandb.WANDB,
        mlflow.MLFLOW,
        mlflow.MLFLOW_BUFFERED,
        aim.AIM,
    )
}
OURS: Final = trimtab.TRIMTAB.name
FLOOR: Final = floor.FLOOR.name
