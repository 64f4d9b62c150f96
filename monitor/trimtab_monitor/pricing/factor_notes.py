"""What to know of the factors before quoting a figure, each in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimtab_monitor.pricing.bill import Bill
from trimtab_monitor.pricing.electricity import GridShare
from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.pricing.money import gpu_currency
from trimtab_monitor.pricing.places import reading_notes
from trimtab_monitor.pricing.settings import EnergySettings


def factor_notes(bill: Bill, live: Sequence[LiveSource]) -> Iterator[str]:
    """What is not set, not known, or not the last word."""
    settings = bill.settings
    if not settings.pue_is_set:
        yield "PUE is not set (1.0 is used): set energy.pue to count cooling and losses of the site"
    yield from _grid(bill, live)
    yield from _market(bill)
    yield from _money(settings)
    for each in live:
        yield from _feed(each)


def _grid(bill: Bill, live: Sequence[LiveSource]) -> Iterator[str]:
    settings = bill.settings
    has_average = any(each.signal == "average" for each in live)
    if settings.intensity_g_per_kwh is None and settings.grid is None and not has_average:
        yield (
            "emissions are not known: set energy.place (TRIMTAB_ENERGY__PLACE=FR), "
            "or energy.intensity_g_per_kwh"
        )
    if settings.grid is not None and settings.intensity_g_per_kwh is None:
        yield from reading_notes(settings.grid)
    yield from _share(bill.location, "location-based", "set energy.place for these hours")
    yield from _share(bill.marginal, "marginal", "the provider told nothing of their hours")


def _share(share: GridShare | None, kind: str, remedy: str) -> Iterator[str]:
    if share is None:
        return
    if share.unpriced_kwh > 0:
        yield f"{share.unpriced_kwh:.4g} kWh have no {kind} intensity and are in no sum: {remedy}"
    if share.estimated_kwh > 0:
        yield f"{kind} emissions of {share.estimated_kwh:.4g} kWh rest on estimates, which may be revised"


def _market(bill: Bill) -> Iterator[str]:
    settings = bill.settings
    if settings.market_intensity_g_per_kwh is None:
        yield "market-based emissions need a contract: set energy.market_intensity_g_per_kwh"
    elif bill.market_g is None and bill.usage.joules is not None:
        yield (
            f"the contract covers {settings.market_share:.0%} of the electricity, the rest has no intensity: "
            "set energy.residual_intensity_g_per_kwh, or energy.place"
        )


def _money(settings: EnergySettings) -> Iterator[str]:
    has_price = settings.price_per_kwh is not None or settings.tariff is not None
    if not has_price and settings.price_per_gpu_hour is None:
        yield "cost is not known: set energy.price_per_kwh and energy.currency"
    if settings.price_per_gpu_hour is None:
        return
    if has_price:
        yield (
            "cost holds electricity and GPU hours: a cloud's price of a GPU hour usually holds electricity, "
            "then leave energy.price_per_kwh out"
        )
    if gpu_currency(settings) != settings.currency:
        yield (
            f"GPU hours are priced in {gpu_currency(settings)}: they are not in the cost, "
            f"which is in {settings.currency}"
        )


def _feed(live: LiveSource) -> Iterator[str]:
    if live.state is None or live.state["last_error_time"] is None:
        return
    if live.state["last_error_time"] >= (live.state["last_success"] or 0):
        yield f"{live.provider} tells nothing now, what it told counts: {live.state['last_error']}"
