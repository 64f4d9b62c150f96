"""Which collector, or which store that one left behind, a command is to read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trimtab_monitor.report.address import collector_url, data_folder
from trimtab_monitor.report.http_source import HttpSource
from trimtab_monitor.report.sources import Source
from trimtab_monitor.report.store_source import StoreSource
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.sqlite import STORE_FILE


def open_source(
    url: str | None, folder: Path | None, settings: Settings, environ: Mapping[str, str]
) -> Source:
    """Open what knows the runs.

    Raises:
        ValueError: there is nothing to read, or what is named is no address.
    """
    named = collector_url(url, folder, environ)
    if named:
        return HttpSource(named, settings.energy)
    store = data_folder(folder, environ) / STORE_FILE
    if not store.is_file():
        raise ValueError(
            f"{store} does not exist, and no collector is named: give --dir or --url, or set TRIMTAB_URL"
        )
    return StoreSource(store, settings)
