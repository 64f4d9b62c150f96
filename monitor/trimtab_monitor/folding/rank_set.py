"""Which ranks something came from: a bit each, as a run of a thousand has many such sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_RANKS: Final = 2**20


@dataclass(slots=True)
class RankSet:
    """A set of ranks below `MOST_RANKS`, and how many they are."""

    bits: bytes = b""
    count: int = 0

    def add(self, rank: int) -> bool:
        """Take a rank in; False: it is there already, or beyond what a run can have."""
        byte, bit = divmod(rank, 8)
        if rank >= MOST_RANKS:
            return False
        bits = bytearray(self.bits.ljust(byte + 1, b"\0"))
        if bits[byte] & (1 << bit):
            return False
        bits[byte] |= 1 << bit
        self.bits = bytes(bits)
        self.count += 1
        return True
