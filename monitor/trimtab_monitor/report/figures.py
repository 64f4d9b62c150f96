"""Figures for people: in the unit in which they read best, and "not known" where there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import isclose
from typing import Any, Final

from trimtab_monitor.ledger.units import energy_in_words

UNKNOWN: Final = "not known"


def energy(joules: float | None) -> str:
    """Joules as J, Wh, kWh or MWh.

    >>> energy(42_000), energy(None)
    ('11.67 Wh', 'not known')
    """
    return UNKNOWN if joules is None else energy_in_words(joules)


def mass(grams: float | None) -> str:
    """Grams of CO2e as g, kg or t.

    >>> mass(0.5), mass(31_223_800), mass(0.0004), mass(None)
    ('0.500 g', '31.22 t', 'under 0.001 g', 'not known')
    """
    if grams is None:
        return UNKNOWN
    if 0 < grams < 0.001:
        return "under 0.001 g"
    if grams < 999.5:
        return f"{grams:.3g} g" if grams >= 1 else f"{grams:.3f} g"
    return f"{grams / 1e3:,.2f} kg" if grams < 999_995 else f"{grams / 1e6:,.2f} t"


def litres(volume: float) -> str:
    """Water as l or m3.

    >>> litres(12.345), litres(202_500)
    ('12.3 l', '202.50 m3')
    """
    if 0 < volume < 0.001:
        return "under 0.001 l"
    return f"{volume:.3g} l" if volume < 999.5 else f"{volume / 1_000:,.2f} m3"


def money(cost: float | None, currency: str) -> str:
    """A price with its currency.

    >>> money(0.0012, "EUR"), money(1234.5, "EUR"), money(0.00004, "EUR")
    ('0.0012 EUR', '1,234.50 EUR', 'under 0.0001 EUR')
    """
    if cost is None:
        return UNKNOWN
    if 0 < cost < 0.0001:
        return f"under 0.0001 {currency}"
    return f"{cost:,.2f} {currency}" if cost >= 1 else f"{cost:.4f} {currency}"


def duration(seconds: float | None) -> str:
    """Seconds as s, min, h or days.

    >>> duration(12.34), duration(600), duration(7_200), duration(864_000)
    ('12.3 s', '10.0 min', '2.0 h', '10.0 days')
    """
    if seconds is None:
        return UNKNOWN
    for limit, divisor, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.1f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def steps(report: Mapping[str, Any]) -> str:
    """How many steps the run made, and in which time if that is known."""
    lasted = report["duration_s"]
    return f"{report['steps']} steps" + (f" in {duration(lasted)}" if lasted is not None else "")


def share(part: float | None, whole: float | None) -> str:
    """A part as percent of the whole, in parentheses; nothing where it cannot be told."""
    return f" ({part / whole:.1%})" if part is not None and whole else ""


def pue(factors: Mapping[str, Any]) -> str:
    """The PUE as it was used: `PUE 1.2`, or that nobody set it."""
    return f"PUE {factors['pue']['value']:g}" if factors["pue"]["is_set"] else "PUE not set"


def place(factors: Mapping[str, Any]) -> str:
    """Where the location-based intensity is from: `France 2024, 44.18 g/kWh`, or the mean of live values."""
    location = factors["location"]
    used = intensity(factors)
    if used is None:
        return ""
    if used != location["g_per_kwh"]:
        return mean_of_hours(used)
    where = f"{location['name']} {location['year']}, " if "name" in location else ""
    return f"{where}{used:g} g/kWh"


def intensity(factors: Mapping[str, Any]) -> float | None:
    """The location-based intensity in g/kWh: the one that holds for all hours, or the mean of theirs."""
    location = factors["location"]
    mean: float | None = location.get("mean_g_per_kwh")
    given: float | None = location["g_per_kwh"]
    is_given = mean is None or (given is not None and isclose(mean, given, rel_tol=1e-9))
    return given if is_given else mean


def mean_of_hours(g_per_kwh: float) -> str:
    """An intensity that is the mean of several hours', in words."""
    return f"mean of its hours, {g_per_kwh:.4g} g/kWh"


def hardware(report: Mapping[str, Any]) -> str:
    """The GPUs that were used: `8 NVIDIA H100`; empty if none was read."""
    rows = report["energy"]["by"]
    gpus = {(row["host"], row["device"]) for row in rows if row["component"] in ("gpu", "module")}
    names = Counter(report["devices"][device] for _, device in gpus)
    return ", ".join(f"{count} {name}" for name, count in sorted(names.items()))


def origin(told: Mapping[str, Any]) -> list[str]:
    """Where a run comes from, in words: the cluster's job, the commit, the versions.

    >>> origin({"slurm": {"job_id": "4711", "nodes": "n[1-2]"}, "git": {"commit": "0123456789ab"}})
    ['Slurm job 4711 on n[1-2]', 'commit 0123456789']
    """
    slurm, kubernetes = told.get("slurm", {}), told.get("kubernetes", {})
    git, versions = told.get("git", {}), told.get("versions", {})
    words = [
        _words(
            ("Slurm job {}", slurm.get("job_id")),
            ("({})", slurm.get("job_name")),
            ("on {}", slurm.get("nodes")),
        ),
        _words(("Kubernetes job {}", kubernetes.get("job")), ("in {}", kubernetes.get("namespace"))),
        _words(("commit {}", str(git.get("commit") or "")[:10]), ("({})", git.get("branch"))),
        ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]
    return [each for each in words if each]


def _words(*parts: tuple[str, object]) -> str:
    return " ".join(form.format(value) for form, value in parts if value)
