"""Where a person is sent to look when a run hangs."""

from __future__ import annotations

import pytest

from trimtab_monitor.detectors.gauges import Gauge
from trimtab_monitor.hang import where_to_look
from trimtab_monitor.liveness import Liveness


def stopped_at(*steps: int) -> Liveness:
    liveness = Liveness(heard=0.0, progressed=0.0)
    liveness.last_steps = dict(enumerate(steps))
    return liveness


def boards(*util: float) -> list[Gauge]:
    return [
        Gauge("node", f"GPU-{number}", "H100", means=(None, used, None)) for number, used in enumerate(util)
    ]


@pytest.mark.parametrize(
    ("steps", "world_size", "told"),
    [
        ((), 4, ""),
        ((7,), 4, ""),
        ((7, 7, 7, 7), 4, "all 4 ranks made step 7"),
        ((7, 7, 6, 7), 4, "rank 2 stopped at step 6, the others at 7: look there first"),
        ((7, 5, 6, 7), 4, "ranks 1, 2 stopped at step 5, the others at 7: look there first"),
        ((7, 6, 6, 6), 4, "only rank 0 came to step 7"),
        ((7, 7, 7), 4, "rank 3 never made a step: look there first"),
        ((7, 7), 64, "all 2 ranks made step 7"),
    ],
)
def test_ranks(steps: tuple[int, ...], world_size: int, told: str) -> None:
    assert where_to_look(stopped_at(*steps), world_size, [])[0] == told


@pytest.mark.parametrize(
    ("util", "told"),
    [
        ((), ""),
        ((1.0,), "its GPU is busy: a kernel never ends, or it waits for another rank"),
        ((0.0,), "its GPU is idle: it waits for data, storage or a lock on the host"),
        ((1.0, 1.0), "all 2 GPUs are busy: ranks wait for each other in an exchange, or a kernel never ends"),
        ((0.0, 0.02), "all 2 GPUs are idle: it waits for data, storage or a lock on a host"),
        ((1.0, 0.98, 0.0, 1.0), "3 GPUs are busy waiting, GPU-2 on node is idle: look there first"),
        ((1.0, 0.3, 0.0, 0.0), "of 4 GPUs 1 are busy and 2 idle"),
    ],
)
def test_devices(util: tuple[float, ...], told: str) -> None:
    assert where_to_look(stopped_at(), None, boards(*util))[0] == told


def test_both_are_told_and_kept_as_evidence() -> None:
    told, evidence = where_to_look(stopped_at(7, 6, 7), 3, boards(1.0, 0.0))
    assert told.startswith(
        "rank 1 stopped at step 6, the others at 7: look there first; 1 GPU is busy waiting"
    )
    assert evidence == {"ranks_behind": [1], "util": {"GPU-0 on node": 1.0, "GPU-1 on node": 0.0}}


def test_a_board_that_is_no_longer_read_tells_nothing() -> None:
    gauges = boards(1.0, 0.0)
    gauges[1].silent = 1
    assert where_to_look(stopped_at(), None, gauges)[0].startswith("its GPU is busy")
