"""The dashboards' JSON: where it lies, and what it should be.

Building needs grafana-foundation-sdk; reading what is committed does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "json"
"""Grafana is pointed at this folder."""


def build() -> Mapping[str, str]:
    """Every dashboard's JSON by file name, built anew.

    Raises:
        ModuleNotFoundError: grafana-foundation-sdk is not installed.
    """
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    with warnings.catch_warnings():
        # The schema that Grafana 10 to 13 all load; what the SDK prefers needs Grafana 13's new API.
        warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
        from trimtab_dashboards import run

    encoder = JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False)
    return {"run.json": encoder.encode(run.build()) + "\n"}


def write(folder: Path = FOLDER) -> list[Path]:
    """Build every dashboard into the folder; return the files whose content changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = stale(folder)
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return list(changed)


def stale(folder: Path = FOLDER) -> Mapping[Path, str]:
    """The files in the folder that are not what building gives, with what it gives."""
    wanted = {folder / name: text for name, text in build().items()}
    return {path: text for path, text in wanted.items() if _read(path) != text}


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
