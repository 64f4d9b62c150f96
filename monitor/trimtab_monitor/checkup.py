"""What this machine can measure, and what stands in the way: facts for `trimtab doctor`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from trimtab import sensors
from trimtab.version import __version__
from trimtab_monitor.report.address import collector_url, data_folder, is_alive
from trimtab_monitor.settings_load import SettingsInvalid, load_settings

PACKAGES: Final = (
    "torch",
    "numpy",
    "msgspec",
    "urllib3",
    "psutil",
    "nvidia-ml-py",
    "amdsmi",
    "fastapi",
    "uvicorn",
)


def check_up(config: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Look at the machine as a training job here would find it. Nothing here fails: problems are told."""
    found = sensors.describe()
    checks = {
        "energy": _energy(found),
        "collector": _collector(environ),
        "folder": _folder(data_folder(None, environ)),
        "settings": _settings(config),
    }
    return {
        "trimtab": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "sensors": found,
        **checks,
        "remedies": _remedies([*found, *checks.values()]),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _energy(found: list[dict[str, Any]]) -> dict[str, Any]:
    """By which method each device's energy will be known."""
    devices = [device for sensor in found for device in sensor["found"]]
    measured = any(device["method"] not in ("model", "constant") for device in devices)
    problem = None if measured else "nothing is measured here: energy is an estimate, or not known"
    return {"devices": devices, "measured": measured, "problem": problem, "remedy": None}


def _collector(environ: Mapping[str, str]) -> dict[str, Any]:
    named = environ.get("TRIMTAB_URL") or None
    try:
        alive = collector_url(named, None, environ)
    except ValueError as error:
        remedy = "correct TRIMTAB_URL, or unset it"
        return {
            "url": named,
            "reachable": False,
            "detail": "is no address",
            "problem": str(error),
            "remedy": remedy,
        }
    if alive is None:
        told = "none runs here: the first watched job starts its own"
        return {"url": None, "reachable": False, "detail": told, "problem": None, "remedy": None}
    return _reached(alive)


def _reached(url: str) -> dict[str, Any]:
    reachable = is_alive(url)
    return {
        "url": url,
        "reachable": reachable,
        "detail": "it answers" if reachable else "it does not answer",
        "problem": None if reachable else f"{url} does not answer: jobs keep their samples until it does",
        "remedy": None if reachable else "start it (trimtab serve), correct TRIMTAB_URL, or unset it",
    }


def _folder(folder: Path) -> dict[str, Any]:
    """Whether a job could keep its data there. Nothing is made."""
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return {
        "path": str(folder.absolute()),
        "writable": writable,
        "problem": None if writable else f"{folder.absolute()} cannot be written",
        "remedy": None if writable else "set TRIMTAB_DIR to a folder that can be written",
    }


def _settings(config: Path | None) -> dict[str, Any]:
    try:
        energy = load_settings(config).energy
    except SettingsInvalid as error:
        return {"problem": str(error), "remedy": "correct the setting that is named"}
    unset = {
        "pue": not energy.pue_is_set,
        "place": energy.grid is None and energy.intensity_g_per_kwh is None,
        "price_per_kwh": energy.price_per_kwh is None
        and energy.tariff is None
        and energy.price_per_gpu_hour is None,
    }
    names = [f"TRIMTAB_ENERGY__{name.upper()}" for name, is_unset in unset.items() if is_unset]
    remedy = f"for carbon and cost, set {', '.join(names)}" if names else None
    return {"problem": None, "remedy": remedy}


def _remedies(checks: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(check["remedy"] for check in checks if check["remedy"]))
