"""What folding an entry did beyond the state: incidents, commands, alerts, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab.wire import Command
from trimtab_alerts.alert import Alert
from trimtab_alerts.outbox import Delivery
from trimtab_monitor.types import Incident


@dataclass(slots=True)
class Effects:
    """Of each thing the newest state, by id, in the order in which they first came up.

    `told` is whether something changed that people wait to see, such as the run's status.
    """

    incidents: dict[str, Incident] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    told: bool = False

    def __bool__(self) -> bool:
        return bool(self.incidents or self.commands or self.alerts or self.deliveries or self.told)

    def merge(self, later: Effects) -> None:
        """Take in what happened after."""
        self.incidents |= later.incidents
        self.commands |= later.commands
        self.alerts |= later.alerts
        self.deliveries += later.deliveries
        self.told = self.told or later.told
