"""What a run's joules come to in grams, litres and money: every factor is applied when the ledger is read."""

from trimtab_monitor.pricing.priced import priced
from trimtab_monitor.pricing.settings import EnergySettings

__all__ = ["EnergySettings", "priced"]
