"""Fits of the loss of runs, made when asked for, and made again only where the run has gone on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

import numpy as np

from trimtab import wire
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.forecast.loss import LossForecast, loss_forecast
from trimtab_monitor.series.reader import SeriesReader

KEPT: Final = 64
GROWN: Final = 1.01
"""A run that has so many times the steps is fitted anew: a fit takes tens of milliseconds."""

ALL: Final = 1_000_000


class Histories:
    """Keeps the fits of the runs that were asked for last. Asked from several threads."""

    def __init__(self, series: SeriesReader) -> None:
        self._series = series
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[int, int, LossForecast | None]] = OrderedDict()

    def of(self, state: RunState) -> LossForecast | None:
        """The fit of a run's loss; None while there is too little of it."""
        with self._lock:
            kept = self._kept.get(state.run)
        if kept is not None and kept[0] == state.attempt and kept[1] <= state.last_step <= GROWN * kept[1]:
            return kept[2]
        told = self._series.read(state.run, wire.LOSS, points=ALL)
        fitted = loss_forecast(np.array(told["step"], np.float64), np.array(told["value"], np.float64))
        with self._lock:
            self._kept[state.run] = (state.attempt, state.last_step, fitted)
            self._kept.move_to_end(state.run)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return fitted
