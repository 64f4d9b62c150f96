"""Power of hardware by name, from the shipped table.

A name is read as people and drivers write it: `h100`, `A100-80GB`, `NVIDIA H100 80GB HBM3`, `rtx4090`.
Makers' and product lines' names may be left out. What tells two products apart may not (`RTX 6000`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Final

_MAKERS: Final = frozenset(("nvidia", "amd", "intel", "google", "apple", "habana"))
_LINES: Final = frozenset(("tesla", "geforce", "instinct", "gpu", "gpus", "cloud"))
_ORNAMENTS: Final = frozenset(("generation", "edition", "r", "tm", "ac", "vf", "hf"))
_SPELLINGS: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<![a-z\d])(\d{1,3})\s*gi?b?(?![a-z\d])", r" \1gb "),
        (r"max[\s-]+q", "maxq"),
        (r"(?<![a-z])(hl|mi|gaudi)[\s-]+(?=\d)", r"\1"),
        (r"tpu[\s-]*v?(?=\d)", "tpu v"),
        (r"(?<![a-z])(rtx|gtx|rx)(?=a?\d)", r"\1 "),
        (r"(?<=\d)(ti|super|sxm|pcie|nvl|xtx?)(?![a-rt-z])", r" \1"),
        (r"(?<= ti)super", " super"),
    )
)


class HardwareError(ValueError):
    """No hardware of that name, or several; says what was given and what comes near."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """The highest power that one device may draw for long, in watts, as its maker states it.

    `covers` says of what: a board, a module on its socket, a superchip (a GPU with its CPU), a chip, or a
    whole machine at the wall. `product` holds the words of which a name must have all, in its spellings;
    `words` what may stand beside them.
    """

    name: str
    watts: float
    covers: str
    note: str
    source: str
    products: tuple[frozenset[str], ...]
    words: frozenset[str]

    def is_called(self, said: frozenset[str]) -> bool:
        """Whether these words name it."""
        known = self.words.union(*self.products)
        return said <= known and any(product <= said for product in self.products)


@dataclass(frozen=True, slots=True)
class Found:
    """What a name stands for, and the other forms of the product that draw less, if it names no form."""

    hardware: Hardware
    others: tuple[Hardware, ...]


def find_hardware(name: str) -> Found:
    """The hardware of that name. A product that comes in several forms is the one that draws most.

    Raises:
        HardwareError: the name is unknown or could be several products.
    """
    said = _words(name)
    called = [each for each in hardware_table() if each.is_called(said)]
    if not called:
        raise HardwareError(f"device {name!r} is not in the table{_near(said)}; or give --watts")
    most = max(called, key=lambda each: each.watts)
    return Found(most, tuple(each for each in called if each.watts < most.watts))


@cache
def hardware_table() -> tuple[Hardware, ...]:
    """Every device of the table, in its order."""
    text = (files("trimtab_monitor.estimate") / "data" / "hardware.csv").read_text(encoding="utf-8")
    return tuple(_hardware(row) for row in csv.DictReader(text.splitlines()))


def _hardware(row: Mapping[str, str]) -> Hardware:
    return Hardware(
        name=row["name"],
        watts=float(row["watts"]),
        covers=row["covers"],
        note=row["note"],
        source=row["source"],
        products=tuple(frozenset(product.split()) for product in row["product"].split("|")),
        words=frozenset(row["words"].split()),
    )


def _words(name: str) -> frozenset[str]:
    text = name.casefold()
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return frozenset(re.findall(r"[a-z0-9]+", text)) - _MAKERS - _LINES - _ORNAMENTS


def _near(said: frozenset[str]) -> str:
    """Products that have all of these words and more, else those that are named, else those spelt alike."""
    table = hardware_table()
    near = [each for each in table if said and said <= each.words.union(*each.products)]
    near = near or [each for each in table if any(product <= said for product in each.products)]
    near = near or _spelt_alike(" ".join(sorted(said)))
    return f" (near it: {_listed(near)})" if near else ""


def _spelt_alike(said: str) -> list[Hardware]:
    spelt = {" ".join(sorted(product)): each for each in hardware_table() for product in each.products}
    return [spelt[each] for each in get_close_matches(said, spelt, n=4, cutoff=0.5)]


def _listed(near: Iterable[Hardware], most: int = 6) -> str:
    names = [each.name for each in near]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
