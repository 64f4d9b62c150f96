"""`trimtab report`: what a run did and what it cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from trimtab_monitor.cli.energy_flags import ConfigFile, Place, Price, Pue, settings_with
from trimtab_monitor.cli.failure import failing_as
from trimtab_monitor.console import make_console, print_json
from trimtab_monitor.report.build import build_report
from trimtab_monitor.report.comparison import as_json
from trimtab_monitor.report.locate import open_source
from trimtab_monitor.report.markdown import as_markdown
from trimtab_monitor.report.model_card import as_model_card
from trimtab_monitor.report.sources import Source, find_runs, runs_of
from trimtab_monitor.report.table import as_csv
from trimtab_monitor.report.text import as_text
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.protocols import StoreError, StoreUnavailable


class Format(StrEnum):
    """How to tell it."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    MODEL_CARD = "model-card"


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...", help="The run's id; `last` is the newest run. Several are compared."
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="All runs of a project, instead of naming them.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to tell it.")] = Format.TEXT,
    url: Annotated[str | None, typer.Option(help="The collector to ask.  [env: TRIMTAB_URL]")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="The folder of an embedded collector.  [env: TRIMTAB_DIR]"),
    ] = None,
    config: ConfigFile = None,
    pue: Pue = None,
    place: Place = None,
    intensity: Annotated[
        float | None, typer.Option(metavar="G_PER_KWH", help="Carbon intensity, before that of the place.")
    ] = None,
    price: Price = None,
    currency: Annotated[str | None, typer.Option(help="Currency of the price: USD, EUR.")] = None,
) -> None:
    """Tell what a run did: energy, carbon and cost, lost work, incidents and rollbacks.

    Several runs are told beside each other, each with its difference to the first, and summed by phase.
    Energy settings that are given here, in the environment or in trimtab.toml go before the collector's.
    """
    given = {
        "pue": pue,
        "place": place,
        "intensity_g_per_kwh": intensity,
        "price_per_kwh": price,
        "currency": currency,
    }
    with failing_as("report"):
        if bool(runs) == (project is not None):
            raise ValueError("give RUN (`last` is the newest), or several, or --project NAME")
        settings = settings_with(config, given)
        with _opened(url, folder, settings) as source:
            found = runs_of(source, project) if project is not None else find_runs(source, runs or [])
            reports = [build_report(source.view(run)) for run in found]
        _tell(reports, format_, several=project is not None or len(reports) > 1)


@contextmanager
def _opened(url: str | None, folder: Path | None, settings: Settings) -> Iterator[Source]:
    try:
        with closing(open_source(url, folder, settings, os.environ)) as source:
            yield source
    except (StoreError, StoreUnavailable) as error:
        raise RuntimeError(str(error)) from None


def _tell(reports: Sequence[Mapping[str, Any]], format_: Format, *, several: bool) -> None:
    """Tell them; as JSON, several runs are a list however many there are."""
    if format_ is Format.TEXT:
        make_console().print(as_text(reports))
    elif format_ is Format.JSON:
        told = as_json(reports) if several else reports[0]
        print_json(told)
    else:
        typer.echo(_WRITERS[format_](reports))


_WRITERS: Final[Mapping[Format, Callable[[Sequence[Mapping[str, Any]]], str]]] = {
    Format.CSV: as_csv,
    Format.MARKDOWN: as_markdown,
    Format.MODEL_CARD: as_model_card,
}
