"""The ledger of a run as the API and the report tell it: priced, with its budgets and its forecast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimtab_monitor.budget.accounts import Accounts
from trimtab_monitor.budget.spending import spent_of
from trimtab_monitor.folding.run_state import RunState, unpack
from trimtab_monitor.forecast.histories import Histories
from trimtab_monitor.forecast.told import forecast_of
from trimtab_monitor.pricing.intensity.sources import Intensities, NoIntensities
from trimtab_monitor.pricing.priced import Work, priced
from trimtab_monitor.series.reader import SeriesReader
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.protocols import Store
from trimtab_monitor.summary import RunSummary


class RunLedgers:
    """Tells ledgers with the factors as they are now; `clock` is Unix seconds.

    `accounts` says what runs and projects have spent by the same prices.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        series: SeriesReader,
        clock: Callable[[], float],
        intensities: Intensities | None = None,
    ) -> None:
        self._settings = settings
        self._state = store.state
        self._histories = Histories(series)
        self._intensities = intensities or NoIntensities()
        currency = settings.energy.currency
        self.accounts = Accounts(store.state, store.views, settings.budget, currency, self.price, clock)

    def price(self, state: RunState) -> dict[str, Any]:
        """What a run used, with every factor."""
        return priced(state.ledger, self._settings.energy, self._intensities, _work(state))

    def tell(self, state: RunState, target_loss: float | None = None) -> dict[str, Any]:
        """The body of `GET /v1/runs/{run}/ledger`."""
        body = self.budgeted(state)
        body["forecast"] = forecast_of(state, body, self._histories, self._settings.forecast, target_loss)
        return body

    def look(self, run: RunSummary) -> dict[str, Any] | None:
        """What a run has come to, as far as it is folded; none if nothing of it is."""
        packed = self._state.load(run.run)
        return None if packed is None else self.budgeted(unpack(packed))

    def budgeted(self, state: RunState) -> dict[str, Any]:
        """That body without the forecast, which takes the longest."""
        body = self.price(state)
        registration = state.registration
        lines = [
            *self.accounts.own_lines(registration, spent_of(state.ledger, body)),
            *self.accounts.project_lines(registration),
        ]
        body["budget"] = {"lines": [line.as_json() for line in lines]}
        return body


def _work(state: RunState) -> Work:
    tokens = state.registration.tokens_per_step
    return Work(state.last_step, None if tokens is None else tokens * state.last_step)
