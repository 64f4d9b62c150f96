"""What two ranks send of a gradient adds up to that of the whole, however it is spread over them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "shard_rank.py"
RANKS = 2
SHARDED = ("fsdp2", "replicated", "tensor_parallel", "fsdp1", "fsdp1_flat")

Found = dict[str, Any]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Found]]:
    """What each rank captured of each way of spreading a model."""
    environ = os.environ | {"WORLD_SIZE": str(RANKS)}
    store = tmp_path_factory.mktemp("ranks") / "store"
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, str(store)],
            env=environ | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(RANKS)
    ]
    told = [each.communicate(timeout=240) for each in running]
    assert [each.returncode for each in running] == [0] * RANKS, told
    return [json.loads(out.splitlines()[-1]) for out, _ in told]


@pytest.mark.parametrize("way", ["plain", "data_parallel"])
def test_where_each_rank_has_all_each_knows_the_norm(ranks: list[dict[str, Found]], way: str) -> None:
    for rank in ranks:
        assert rank[way]["norm"] == pytest.approx(ranks[0]["plain"]["norm"], rel=1e-5)
        assert rank[way]["beside"] == pytest.approx(ranks[0]["plain"]["beside"], rel=1e-5)
        assert list(rank[way]["beside"]) == ["grad_norm/up", "grad_norm/norm", "grad_norm/down"]


@pytest.mark.parametrize("way", SHARDED)
def test_what_the_ranks_send_adds_up(ranks: list[dict[str, Found]], way: str) -> None:
    sent = [rank[way]["beside"] for rank in ranks]
    assert all("grad_norm_sq_shard" in each for each in sent)
    assert [rank[way]["norm"] for rank in ranks] == [None] * RANKS
    whole = math.sqrt(sum(each["grad_norm_sq_shard"] for each in sent))
    assert whole == pytest.approx(ranks[0]["plain"]["norm"], rel=1e-5)


@pytest.mark.parametrize("way", set(SHARDED) - {"fsdp1_flat"})
def test_so_do_the_layers(ranks: list[dict[str, Found]], way: str) -> None:
    sums: dict[str, float] = {}
    for rank in ranks:
        for name, square in rank[way]["beside"].items():
            if "/" in name:
                layer = name.replace("_sq_shard", "")
                sums[layer] = sums.get(layer, 0.0) + square
    roots = {name: math.sqrt(square) for name, square in sums.items()}
    assert roots == pytest.approx(ranks[0]["plain"]["beside"], rel=1e-5)


def test_nothing_is_said_between_ranks_and_nothing_fails(ranks: list[dict[str, Found]]) -> None:
    assert [found["said"] for rank in ranks for found in rank.values()] == [0] * RANKS * 7
    assert ranks[0]["fsdp2"]["said_by_full_norms"] > 0  # it would be seen
    assert [found["told"] for rank in ranks for found in rank.values()] == [[]] * RANKS * 7
