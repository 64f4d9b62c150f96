"""`python -m trimtab_monitor` is `trimtab`."""

from __future__ import annotations

from trimtab_monitor.cli import main

main()
