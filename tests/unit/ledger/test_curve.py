"""Energy over time in bins."""

from __future__ import annotations

from itertools import pairwise

import pytest

from trimtab_monitor.ledger.curve import Bins
from trimtab_monitor.ledger.units import Piece


def piece(start_us: int, end_us: int, energy_uj: int) -> Piece:
    return Piece(start_us, end_us, energy_uj, "counter", energy_uj, energy_uj)


@pytest.mark.parametrize("energy_uj", [1_000_003, -1_000_003, 7, 0])
def test_a_piece_over_many_bins_is_as_one_cut_at_every_bin(energy_uj: int) -> None:
    whole, cut = Bins(10, 8), Bins(10, 8)
    for start_us, end_us in pairwise([3, 5, 28, 31, 147, 150, 409]):
        each = piece(start_us, end_us, energy_uj)
        whole.add(each)
        for from_us, until_us in pairwise([start_us, *range(start_us // 10 * 10 + 10, end_us, 10), end_us]):
            cut.add(piece(from_us, until_us, each.within(from_us, until_us)))
    assert whole == cut
    assert sum(whole.energy_uj) + whole.earlier.total_uj == 6 * energy_uj
