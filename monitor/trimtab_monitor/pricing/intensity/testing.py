"""A server on loopback that speaks as the providers of carbon intensities do, or answers as it is told to."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from trimtab_monitor.pricing.intensity.provider import ProviderFailed
from trimtab_monitor.pricing.intensity.values import HOUR_S, HourlyIntensity, Signal, ValueRefused, time_of
from trimtab_monitor.pricing.intensity.watttime import G_PER_KWH_OF_LBS_PER_MWH

TOKEN: Final = "em-s3cret"  # noqa: S105 - of a server on loopback
USER: Final = "ada"
PASSWORD: Final = "wt-s3cret"  # noqa: S105 - of a server on loopback
_HALF_S: Final = 1_800
_FIVE_MINUTES_S: Final = 300
_DRIP_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is not the provider's.

    Args:
        hangs: nothing at all is answered until the server ends.
        drips: the body comes byte by byte and never ends.
        drips_head: the head does.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    drips: bool = False
    drips_head: bool = False


class GridServer:
    """Tells `values` (g/kWh by hour, Unix seconds); those in `estimated` as an estimate or forecast.

    `answers` are given first, in turn; `asked` holds the paths of all requests. Use it in a `with`.
    """

    def __init__(self, values: Mapping[int, float] | None = None, *answers: Answer) -> None:
        self.values = dict(values or {})
        self.estimated: set[int] = set()
        self.asked: list[str] = []
        self.logins = 0
        self._answers = list(answers)
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def then(self, *answers: Answer) -> None:
        """Answer the next requests with these."""
        self._answers.extend(answers)

    def forget_tokens(self) -> None:
        """Refuse every token that was given at a login so far."""
        self.logins += 1

    def wait_for(self, count: int, timeout: float = 30.0) -> None:
        """Wait until so many requests came.

        Raises:
            TimeoutError: they did not come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.asked) >= count, timeout):
                raise TimeoutError(f"{len(self.asked)} requests came within {timeout} s, {count} are needed")

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Keep what was asked; the answer to it."""
        with self._changed:
            self.asked.append(target)
            self._changed.notify_all()
            if self._answers:
                return self._answers.pop(0)
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        asked = {name: values[0] for name, values in query.items()}
        if path.startswith("/intensity/"):
            return self._uk(path)
        if path.startswith("/v3/carbon-intensity/"):
            return self._electricity_maps(path, asked, headers)
        return self._watttime(path, asked, headers)

    def wait_for_end(self, seconds: float | None = None) -> bool:
        """Wait until the server ends; returns whether it did."""
        return self._ended.wait(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _uk(self, path: str) -> Answer:
        from_, to = (time_of(text) for text in path.removeprefix("/intensity/").split("/"))
        data = [
            {
                "from": _uk_time(time),
                "to": _uk_time(time + _HALF_S),
                "intensity": {
                    "forecast": g_per_kwh,
                    "actual": None if hour in self.estimated else g_per_kwh,
                    "index": "moderate",
                },
            }
            for hour, g_per_kwh in sorted(self.values.items())
            for time in (hour, hour + _HALF_S)
            if from_ - _HALF_S <= time <= to
        ]
        return _json({"data": data})

    def _electricity_maps(self, path: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        if headers.get("auth-token") != TOKEN:
            return Answer(401, b'{"error": "Invalid auth-token"}')
        entries = [
            {
                "zone": asked["zone"],
                "carbonIntensity": g_per_kwh,
                "datetime": f"{datetime.fromtimestamp(hour, UTC):%Y-%m-%dT%H:%M:%S.000Z}",
                "updatedAt": "2026-01-01T00:00:00.000Z",
                "emissionFactorType": asked["emissionFactorType"],
                "isEstimated": hour in self.estimated,
                "estimationMethod": None,
            }
            for hour, g_per_kwh in sorted(self.values.items())
        ]
        if path.endswith("/history"):
            return _json({"zone": asked["zone"], "history": entries[-24:]})
        return _json(entries[-1]) if entries else Answer(404)

    def _watttime(self, path: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        if path == "/login":
            return self._login(headers)
        if headers.get("Authorization") != f"Bearer token-{self.logins}":
            return Answer(401)
        told = self.estimated if path == "/v3/forecast" else self.values.keys() - self.estimated
        points = [
            {"point_time": _time(time), "value": self.values[hour] / G_PER_KWH_OF_LBS_PER_MWH}
            for hour in sorted(told)
            for time in range(hour, hour + HOUR_S, _FIVE_MINUTES_S)
            if path == "/v3/forecast" or time_of(asked["start"]) <= time <= time_of(asked["end"])
        ]
        meta = {"region": asked["region"], "signal_type": asked["signal_type"], "units": "lbs_co2_per_mwh"}
        return _json({"data": points, "meta": meta})

    def _login(self, headers: Mapping[str, str]) -> Answer:
        if (
            headers.get("Authorization")
            != f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        ):
            return Answer(401)
        self.logins += 1
        return _json({"token": f"token-{self.logins}"})


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, grid: GridServer, *args: Any) -> None:
        self._grid = grid
        super().__init__(*args)

    def do_GET(self) -> None:
        answer = self._grid.answer(self.path, dict(self.headers))
        if answer.hangs:
            self._grid.wait_for_end()
            return
        with suppress(OSError):  # the other end had enough
            self._write(answer)

    def _write(self, answer: Answer) -> None:
        if answer.drips_head:
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
            self._drip()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not answer.drips:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.drips:
            self._drip()

    def _drip(self) -> None:
        while not self._grid.wait_for_end(_DRIP_S):
            self.wfile.write(b" ")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""


def _json(value: object) -> Answer:
    return Answer(body=json.dumps(value).encode())


def _time(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()


def _uk_time(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%MZ}"


@dataclass(slots=True)
class ScriptedProvider:
    """A provider that tells `values` (g/kWh by hour), those in `estimated` as estimates, or fails as told.

    `asked` holds the stretch of every request.
    """

    values: dict[int, float] = field(default_factory=dict)
    estimated: set[int] = field(default_factory=set)
    failure: ProviderFailed | ValueRefused | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)
    name: str = "scripted"
    zone: str = "FR"
    signal: Signal = "average"
    basis: str = "lifecycle"
    attribution: str = "nobody"
    reach_hours: int = 24

    def fetch(self, from_hour: int, to_hour: int, now: float) -> list[HourlyIntensity]:
        """See Provider."""
        self.asked.append((from_hour, to_hour))
        if self.failure is not None:
            raise self.failure
        return [
            HourlyIntensity(
                self.name, self.zone, self.signal, hour, value, self.basis, hour in self.estimated, now
            )
            for hour, value in self.values.items()
            if from_hour <= hour < to_hour
        ]
