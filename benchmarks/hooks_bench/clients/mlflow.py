"""MLflow with asynchronous logging into SQLite: as it comes, and with batches of two seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Final

from hooks_bench.clients.client import PROJECT, Client, Log

STORE: Final = "sqlite:///mlflow.db"
OFFLINE: Final = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@contextmanager
def opened(url: str, width: int) -> Iterator[Log]:
    del url, width
    mlflow = import_module("mlflow")
    mlflow.set_tracking_uri(STORE)
    mlflow.set_experiment(PROJECT)
    mlflow.start_run()

    def log(step: int, values: Mapping[str, float]) -> None:
        mlflow.log_metrics(dict(values), step=step, synchronous=False)

    yield log
    mlflow.flush_async_logging()  # with batches, what is not flushed before the interpreter ends is lost
    mlflow.end_run()


def read() -> int:
    """Count the steps whose loss is in the store."""
    client = import_module("mlflow").MlflowClient(STORE)
    experiment = client.get_experiment_by_name(PROJECT)
    (run,) = client.search_runs([experiment.experiment_id])
    return len({each.step for each in client.get_metric_history(run.info.run_id, "loss")})


MLFLOW: Final = Client("mlflow", "mlflow", opened, read, share=0.05, environ=OFFLINE)
MLFLOW_BUFFERED: Final = Client(
    "mlflow-buffered",
    "mlflow",
    opened,
    read,
    share=0.1,
    widths=(3,),
    environ=OFFLINE | {"MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS": "2"},
)
