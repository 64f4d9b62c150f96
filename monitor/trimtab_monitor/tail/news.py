"""What the collector found in a run since it was last asked."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from trimtab_monitor.asking import Asking

PATIENCE_S: Final = 2.0
REST_S: Final = 5.0
"""How long a collector that did not answer is left alone."""

Incident = dict[str, Any]


class News:
    """Asks one collector for one run; a collector that is away is asked again later."""

    def __init__(self, url: str, run: str) -> None:
        self._asking = Asking(url, PATIENCE_S, tries=1)
        self._path = f"/v1/runs/{quote(run, safe='')}"
        self._known: dict[str, tuple[Any, ...]] = {}
        self._ask_after = 0.0
        self.incidents: dict[str, Incident] = {}

    def changed(self, now: float) -> list[Incident]:
        """Return the incidents that are new, worse or over since the last call; `now` in seconds."""
        if now < self._ask_after:
            return []
        try:
            told = self._asking.get(f"{self._path}/incidents")
        except OSError:
            self._ask_after = now + REST_S
            return []
        changed = [each for each in told if self._known.get(each["id"]) != _state(each)]
        self._known |= {each["id"]: _state(each) for each in told}
        self.incidents |= {each["id"]: each for each in told}
        return changed

    def progress(self) -> tuple[str, int] | None:
        """Return the run's status and its last step, None if the collector does not tell."""
        try:
            told = self._asking.get(self._path)
            return str(told["status"]), int(told["last_step"])
        except (OSError, KeyError, TypeError):
            return None

    def close(self) -> None:
        """Close the connections."""
        self._asking.close()


def _state(incident: Incident) -> tuple[Any, ...]:
    return incident["kind"], incident["severity"], incident["state"]
