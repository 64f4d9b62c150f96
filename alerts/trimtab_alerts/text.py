"""Small forms that several destinations share: times, links, lengths, and secrets struck out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

_YEAR_9999: Final = 253_402_300_799.0


def rfc3339(time: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds, held to the years 1970 to 9999."""
    moment = datetime.fromtimestamp(min(max(time, 0.0), _YEAR_9999), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run_page(public_url: str | None, run: str) -> str | None:
    """The URL of a run's page, or none where people have no way to the collector."""
    if public_url is None:
        return None
    return f"{public_url.rstrip('/')}/runs/{quote(run, safe='')}"


def shorten(text: str, most: int) -> str:
    """The text in at most `most` characters, with an ellipsis where it was cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def strike_out(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret replaced by `<secret>`."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "<secret>")
    return text
