"""The energy ledger: readings in, joules by device and method out; `pricing` makes carbon and cost of it."""

from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.rows import Row, Totals

__all__ = ["EnergyLedger", "Row", "Totals"]
