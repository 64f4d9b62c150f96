"""Which devices may be added up, and the energy over time of those that are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trimtab_monitor.ledger.claims import Claims
from trimtab_monitor.ledger.curve import EnergyCurve
from trimtab_monitor.ledger.units import Piece

MODELLED: Final = frozenset(("model", "constant", "missing"))
OF_A_MODULE: Final = frozenset(("gpu", "package", "dram"))


@dataclass(slots=True)
class Scope:
    """Energy over time of devices that may be added up; what of it is lost, in which phase it was used."""

    curve: EnergyCurve = field(default_factory=EnergyCurve)
    lost: Claims = field(default_factory=Claims)
    phases: Claims = field(default_factory=Claims)

    def add(self, piece: Piece) -> None:
        """Add a piece of energy; a negative one takes back."""
        self.curve.add(piece)
        self.lost.add(piece)
        self.phases.add(piece)


@dataclass(slots=True)
class Covers:
    """The hosts (boot ids) on which one device's energy holds that of others, so that those are not added.

    A module measured as one holds its GPU, CPU and memory; measured packages hold what a model of the host
    stands for.
    """

    modules: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)

    def see(self, boot_id: str, component: str, method: str) -> bool:
        """A device is measured in this way; True if it covers others from now on."""
        known = {"module": self.modules, "package": self.packages}.get(component)
        if known is None or method in MODELLED or boot_id in known:
            return False
        known.append(boot_id)
        return True

    def covered(self, boot_id: str, component: str, method: str) -> bool:
        """Whether such a device is in another's energy."""
        if boot_id in self.modules and component in OF_A_MODULE:
            return True
        is_model = component == "host" and method in MODELLED
        return is_model and (boot_id in self.modules or boot_id in self.packages)
