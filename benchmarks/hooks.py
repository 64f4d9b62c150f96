"""What a step costs the training thread: Trimtab beside its peers, in one run, one JSON line a client.

    .venv/bin/python benchmarks/hooks.py [--steps 10000] [--url URL]

Every client logs the same loss, gradient norm and learning rate once a step, in a process of its own: back
to back, which is the worst case for a client with a thread, and paced by about half a millisecond of Python
work, which is closer to a loop. Times are of the calls alone; `floor` is what taking two timestamps and
appending to a deque costs. Trimtab's samples go to a collector in another process, by HTTP (`--url`: to a
running one).
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import Any

Log = Callable[[int, float, float, float], None]
"""Log a step: its number, loss, gradient norm and learning rate."""


@contextmanager
def floor(url: str) -> Iterator[Log]:
    del url
    kept: deque[tuple[int, float, float, float, float]] = deque()

    def log(step: int, loss: float, grad_norm: float, lr: float) -> None:
        kept.append((step, time.time(), loss, grad_norm, lr))

    yield log


@contextmanager
def trimtab(url: str) -> Iterator[Log]:
    import trimtab as package

    with package.watch(project="benchmark", url=url) as watch:

        def log(step: int, loss: float, grad_norm: float, lr: float) -> None:
            del step
            watch.step(loss=loss, grad_norm=grad_norm, lr=lr)

        yield log


@contextmanager
def trackio(url: str) -> Iterator[Log]:
    del url
    import trackio as package

    run = package.init(project="benchmark", embed=False, auto_log_gpu=False, auto_log_cpu=False)

    def log(step: int, loss: float, grad_norm: float, lr: float) -> None:
        del step
        run.log({"loss": loss, "grad_norm": grad_norm, "lr": lr})

    yield log
    package.finish()  # type: ignore[no-untyped-call]


@contextmanager
def tensorboard(url: str) -> Iterator[Log]:
    del url
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter("runs")

    def log(step: int, loss: float, grad_norm: float, lr: float) -> None:
        writer.add_scalar("loss", loss, step)
        writer.add_scalar("grad_norm", grad_norm, step)
        writer.add_scalar("lr", lr, step)

    yield log
    writer.close()


CLIENTS: dict[str, Any] = {
    "floor": floor,
    "trimtab": trimtab,
    "trackio": trackio,
    "tensorboard": tensorboard,
}


def costs(client: str, url: str, steps: int, work: int) -> dict[str, float]:
    """Log `steps` steps with so much Python work between them; return microseconds a step."""
    taken: list[int] = []
    with CLIENTS[client](url) as log:
        for step in range(1, steps + 1):
            loss = 2.0 + math.exp(-step / steps)
            sum(range(work))
            begin = perf_counter_ns()
            log(step, loss, 1.0, 1e-3)
            taken.append(perf_counter_ns() - begin)
    taken.sort()
    return {
        "median_us": taken[steps // 2] / 1e3,
        "p99_us": taken[steps * 99 // 100] / 1e3,
        "max_us": taken[-1] / 1e3,
        "mean_us": sum(taken) / steps / 1e3,
    }


def in_own_process(client: str, url: str, steps: int, work: int) -> dict[str, float]:
    """Measure a client in a fresh process and folder."""
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {
            "TRIMTAB_DIR": folder,
            "TRACKIO_DIR": folder,
            "HF_HUB_OFFLINE": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        command = [sys.executable, str(Path(__file__).resolve()), "--one", client, "--url", url]
        command += ["--steps", str(steps), "--work", str(work)]
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{client}: exit status {done.returncode}\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def collector(url: str | None) -> Iterator[str]:
    """Give the address of a collector: the one named, else a recording one in a child process."""
    if url is not None:
        yield url
        return
    program = (
        "import time; from trimtab.testing import RecordingCollector\n"
        "with RecordingCollector().running() as running:\n"
        "    print(running.url, flush=True)\n"
        "    time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child.stdout.readline().strip()
        finally:
            child.kill()


def main() -> None:
    """Measure every client, back to back and paced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000, help="steps a client")
    parser.add_argument("--url", help="a collector for Trimtab; one is started unless given")
    parser.add_argument("--one", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        logging.disable(logging.INFO)
        print(json.dumps(costs(asked.one, asked.url, asked.steps, asked.work)))
        return
    with collector(asked.url) as url:
        for pace, work, steps in (("back to back", 0, asked.steps), ("paced", 50_000, asked.steps // 5)):
            tell({client: in_own_process(client, url, steps, work) for client in CLIENTS}, pace, steps)


def tell(found: dict[str, dict[str, float]], pace: str, steps: int) -> None:
    """Print one line a client, with its cost as a multiple of Trimtab's."""
    own = found["trimtab"]
    for client, cost in found.items():
        line = {"benchmark": "hooks", "client": client, "pace": pace, "steps": steps}
        figures = {name: round(value, 3) for name, value in cost.items()}
        ratios = {
            "median_ratio": round(cost["median_us"] / own["median_us"], 2),
            "p99_ratio": round(cost["p99_us"] / own["p99_us"], 2),
        }
        print(json.dumps(line | figures | ratios), flush=True)


if __name__ == "__main__":
    main()
