"""Carbon intensity of electricity by place, from the shipped table (sources: `data/LICENSES.md`).

A place is written as one of

    FR, FRA, France          a country; two letters are always a country, so GA is Gabon and CA is Canada
    US-GA, Texas             a state of the US, by US- and its letters, or by its name
    egrid:US                 the US as a whole by eGRID, as its states are; US alone is as other countries are
    aws:us-east-1, eastus    a region of aws, azure or gcp, with or without the provider

in any case. A name that is both a country and a state (Georgia) must be written by its key.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Final

ATTRIBUTION: Final = (
    "Ember, Yearly Electricity Data (2025), with processing by Our World in Data, CC BY 4.0. "
    "US EPA eGRID2023. Google Cloud region-carbon-info, Apache-2.0. Values reformatted and rounded."
)
HOW_TO_LIST: Final = "list the places with: trimtab doctor --places [WORD]"

_BASIS: Final[Mapping[str, str]] = {
    "lifecycle_production_mix": "annual average of the production mix, life cycle",
    "direct_generation_output_rate": "annual average of generation, direct emissions",
    "grid_average_operational_published_by_provider": "annual average, as the provider publishes it",
}


_ALSO_CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "AE": ("UAE",),
    "CI": ("Ivory Coast",),
    "CZ": ("Czech Republic",),
    "GB": ("UK", "Great Britain"),
    "KR": ("Republic of Korea",),
    "NL": ("The Netherlands", "Holland"),
    "TR": ("Türkiye",),
    "US": ("United States of America",),
    "US-DC": ("Washington DC", "Washington, D.C."),
    "VN": ("Viet Nam",),
}
"""Names in common use that the sources of the table spell otherwise."""


class PlaceError(ValueError):
    """No carbon intensity for a place; says what was given, what comes near and where the list is."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """Grams of CO2e per kWh of electricity at a place in a year, and where the value is from.

    `quality` is ok, derived (a cloud region that takes the value of its country or state, `derived_from`),
    stale, or suspect_zero. `key` is unique and can be given as a place.
    """

    key: str
    scope: str
    provider: str
    iso3: str
    name: str
    g_per_kwh: float
    year: int
    basis: str
    derived_from: str
    quality: str
    source: str

    @property
    def label(self) -> str:
        """The place for people: `France (FR)`."""
        return f"{self.name} ({self.key})"

    @property
    def notes(self) -> list[str]:
        """What to know before relying on the value."""
        notes = []
        if self.quality == "derived":
            notes.append(
                f"{self.key} has no published value: that of {self.derived_from} is used, "
                f"as {self.provider} publishes none"
            )
        if self.quality == "stale":
            notes.append(
                f"the value of {self.label} is of {self.year}: give intensity_g_per_kwh for a newer one"
            )
        return notes

    def usable(self) -> Intensity:
        """This value, unless it cannot be true.

        Raises:
            PlaceError: the table has 0 g/kWh for a place whose electricity is not free of carbon.
        """
        if self.quality == "suspect_zero":
            raise PlaceError(
                f"place: {self.label}: the table says {self.g_per_kwh} g/kWh for {self.year}, "
                "which cannot be; give intensity_g_per_kwh"
            )
        return self


def places(word: str = "") -> list[Intensity]:
    """The places of the table that have `word` in their key or name or are called so, in its order."""
    wanted = word.strip().casefold()
    called = _by_alias().get(wanted, ())
    return [place for place in _table().values() if wanted in place.label.casefold() or place in called]


def lookup(place: str) -> Intensity:
    """The carbon intensity of a place.

    Raises:
        PlaceError: the place is unknown or could be several.
    """
    wanted = place.strip().casefold()
    found = {match.key: match for match in _by_alias().get(wanted, ())}
    if wanted in _table():
        return _table()[wanted]
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise PlaceError(f"place: {place!r} could be {_listed(found.values())}: write one of these keys")
    raise PlaceError(f"place: {place!r} is not in the table{_nearest(wanted)}; {HOW_TO_LIST}")


def reading_notes(place: str) -> list[str]:
    """What to know of how a place was read and of its value: two letters are a country, never a state."""
    intensity = lookup(place)
    if (
        place.strip().casefold() != intensity.key.casefold()
        or f"us-{intensity.key}".casefold() not in _table()
    ):
        return intensity.notes
    read_as = f"{intensity.key} is the country {intensity.name}; the US state is US-{intensity.key}"
    return [read_as, *intensity.notes]


def _nearest(wanted: str) -> str:
    spellings = {**{key: [value] for key, value in _table().items()}, **_by_alias()}
    spellings.update({value.name.casefold(): [value] for value in _table().values()})
    close = get_close_matches(wanted, spellings, n=4, cutoff=0.6)
    near = {match.key: match for spelling in close for match in spellings[spelling]}
    return f" (near it: {_listed(near.values())})" if near else ""


def _listed(found: Iterable[Intensity]) -> str:
    return ", ".join(f"{match.key} ({match.name}, {match.scope.replace('_', ' ')})" for match in found)


@cache
def _table() -> dict[str, Intensity]:
    """By unique key, casefolded. NA is Namibia: nothing here takes it for a missing value."""
    text = (files("trimtab_monitor.pricing") / "data" / "carbon_intensity.csv").read_text(encoding="utf-8")
    rows = (_intensity(row) for row in csv.DictReader(text.splitlines()))
    return {intensity.key.casefold(): intensity for intensity in rows}


def _intensity(row: Mapping[str, str]) -> Intensity:
    provider = "egrid" if row["scope"] == "country_egrid" else row["provider"]
    return Intensity(
        key=f"{provider}:{row['key']}" if provider else row["key"],
        scope=row["scope"],
        provider=row["provider"],
        iso3=row["iso3"],
        name=row["name"],
        g_per_kwh=float(row["g_per_kwh"]),
        year=int(row["year"]),
        basis=_BASIS[row["basis"]],
        derived_from=row["derived_from"],
        quality=row["quality"],
        source=row["source"],
    )


@cache
def _by_alias() -> dict[str, list[Intensity]]:
    """Other spellings: a country's three letters, names of countries and states, regions without provider."""
    aliases: dict[str, list[Intensity]] = {}
    for intensity in _table().values():
        for alias in _aliases(intensity):
            aliases.setdefault(alias.casefold(), []).append(intensity)
    return aliases


def _aliases(intensity: Intensity) -> tuple[str, ...]:
    others = _ALSO_CALLED.get(intensity.key, ())
    if intensity.scope == "country":
        return intensity.iso3, intensity.name, *others
    if intensity.scope == "us_state":
        return intensity.name, *others
    if intensity.scope == "cloud_region":
        return (intensity.key.partition(":")[2],)
    return ()
