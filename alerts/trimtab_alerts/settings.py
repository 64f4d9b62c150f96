"""The alert policy as settings: where alerts go, from which severity on, and with which secrets.

Every secret is a SecretStr, which never prints, and has a `_file` twin: the path of a file that holds it,
read at each send, so that it can be changed without a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

AlertSeverity = Literal["warning", "critical"]
DestinationName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

CONSOLE = "console"
PAGERDUTY = "pagerduty"
ROUTING_KEY_CHARS = 32
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"


class SecretUnreadable(Exception):  # noqa: N818 - a state, told as such
    """A secret's file cannot be read; the message names the file, never the secret."""


class DestinationSettings(BaseModel):
    """What every destination has."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    min_severity: AlertSeverity = Field(
        default="warning",
        description="The least severity told here: warning (tell someone) or critical (act).",
    )
    send_resolved: bool = Field(default=True, description="Whether to tell when an alert has resolved.")


class ConsoleSettings(DestinationSettings):
    """One line an alert on the collector's standard error."""

    enabled: bool = Field(
        default=True, description="Whether alerts are told on the collector's standard error."
    )


class WebhookSettings(DestinationSettings):
    """A URL that takes Alertmanager's webhook body, version 4."""

    name: DestinationName = Field(description="The receiver's name: letters, digits, dot, dash, underscore.")
    url: SecretStr | None = Field(
        default=None, description="Where to POST. A secret: such URLs often hold a token."
    )
    url_file: Path | None = Field(default=None, description="A file that holds the URL, instead of `url`.")
    secret: SecretStr | None = Field(
        default=None,
        description="The key of the HMAC-SHA256 signature in the Trimtab-Signature header; none: unsigned.",
    )
    secret_file: Path | None = Field(
        default=None, description="A file that holds the key, instead of `secret`."
    )
    timeout_s: float = Field(default=10.0, gt=0, le=60, description="How long one send may take, in seconds.")

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        _exactly_one("url", self.url, self.url_file)
        _at_most_one("secret", self.secret, self.secret_file)
        if self.url is not None and not self.url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        return self


class PagerDutySettings(DestinationSettings):
    """PagerDuty's Events API v2. It pages nobody until a routing key is given."""

    min_severity: AlertSeverity = Field(
        default="critical", description="The least severity that pages: warning or critical."
    )
    routing_key: SecretStr | None = Field(
        default=None, description="The integration key of the service to page, 32 characters."
    )
    routing_key_file: Path | None = Field(
        default=None, description="A file that holds the integration key, instead of `routing_key`."
    )
    url: str = Field(
        default=PAGERDUTY_URL,
        pattern=r"^https?://",
        description="Where events go. In the EU service region: https://events.eu.pagerduty.com/v2/enqueue",
    )
    timeout_s: float = Field(default=10.0, gt=0, le=60, description="How long one send may take, in seconds.")

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        _exactly_one("routing_key", self.routing_key, self.routing_key_file)
        if self.routing_key is not None and len(self.routing_key.get_secret_value()) != ROUTING_KEY_CHARS:
            raise ValueError(
                "routing_key must have 32 characters: copy the key of an Events API v2 integration"
            )
        return self


class AlertSettings(BaseModel):
    """Where alerts go. With nothing set, they are told on the collector's standard error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    console: ConsoleSettings = Field(default=ConsoleSettings(), description="The collector's standard error.")
    webhooks: tuple[WebhookSettings, ...] = Field(default=(), description="Any number of webhooks.")
    pagerduty: PagerDutySettings | None = Field(default=None, description="PagerDuty; none: nobody is paged.")
    give_up_after_s: float = Field(
        default=86_400.0,
        gt=0,
        description="When a delivery that keeps failing is given up, in seconds since its alert.",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [name for name, _ in self.destinations()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two destinations are named {name!r}: give every webhook a name of its own")
        return self

    def destinations(self) -> Iterator[tuple[str, DestinationSettings]]:
        """Every destination that is set, by name."""
        if self.console.enabled:
            yield CONSOLE, self.console
        for webhook in self.webhooks:
            yield webhook.name, webhook
        if self.pagerduty is not None:
            yield PAGERDUTY, self.pagerduty


def read_secret(value: SecretStr | None, path: Path | None) -> str:
    """The secret, from its setting or its file (blanks around it dropped).

    Raises:
        SecretUnreadable: the file cannot be read or is empty.
    """
    if value is not None:
        return value.get_secret_value()
    assert path is not None, "settings hold a value or a file"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnreadable(f"{path}: {type(error).__name__}; make the file readable") from None
    if not text:
        raise SecretUnreadable(f"{path} is empty; write the secret into it")
    return text


def _exactly_one(name: str, value: SecretStr | None, path: Path | None) -> None:
    _at_most_one(name, value, path)
    if value is None and path is None:
        raise ValueError(f"{name} is missing: give {name} or {name}_file")


def _at_most_one(name: str, value: SecretStr | None, path: Path | None) -> None:
    if value is not None and path is not None:
        raise ValueError(f"both {name} and {name}_file are given: give one of them")
