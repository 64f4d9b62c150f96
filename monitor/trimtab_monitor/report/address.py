"""Where a collector is to be found from here: named, or embedded in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import urllib3

from trimtab.job_settings import check_url

DEFAULT_FOLDER: Final = ".trimtab"
COLLECTOR_FILE: Final = "collector.json"
_PATIENCE_S: Final = 2.0


def data_folder(folder: Path | None, environ: Mapping[str, str]) -> Path:
    """The folder of the embedded collector: as given, else TRIMTAB_DIR, else `.trimtab` here."""
    return folder or Path(environ.get("TRIMTAB_DIR") or DEFAULT_FOLDER).expanduser()


def collector_url(url: str | None, folder: Path | None, environ: Mapping[str, str]) -> str | None:
    """The collector to ask: the one that is named, else one that runs in the folder.

    A folder that is given goes before TRIMTAB_URL.

    Raises:
        ValueError: what is named is no collector's address.
    """
    named = url or (None if folder else environ.get("TRIMTAB_URL"))
    if named:
        return check_url(named)
    embedded = _embedded_url(data_folder(folder, environ))
    return embedded if embedded and is_alive(embedded) else None


def is_alive(url: str) -> bool:
    """Whether a collector answers there."""
    try:
        answer = urllib3.request("GET", f"{url.rstrip('/')}/healthz", retries=False, timeout=_PATIENCE_S)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == 200


def _embedded_url(folder: Path) -> str | None:
    """Where the embedded collector said that it listens; it may be gone."""
    try:
        told = json.loads((folder / COLLECTOR_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    url = told.get("url") if isinstance(told, dict) else None
    return url if isinstance(url, str) else None
