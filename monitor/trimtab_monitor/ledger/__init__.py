"""The energy ledger: readings in, joules by device and method out; carbon and cost when read."""

from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.pricing import priced
from trimtab_monitor.ledger.rows import Row, Totals
from trimtab_monitor.ledger.settings import EnergySettings

__all__ = ["EnergyLedger", "EnergySettings", "Row", "Totals", "priced"]
