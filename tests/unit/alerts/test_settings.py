from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from trimtab_alerts import settings
from trimtab_alerts.settings import AlertSettings, SecretUnreadable, read_secret

KEY = "K" * 32


def test_with_nothing_set_alerts_go_to_the_console_alone() -> None:
    assert [name for name, _ in AlertSettings().destinations()] == ["console"]


def test_every_kind_of_destination_can_be_set() -> None:
    policy = AlertSettings.model_validate(
        {
            "webhooks": [
                {"name": "ops", "url": "https://example.com/h"},
                {"name": "ml", "url_file": "/run/u"},
            ],
            "pagerduty": {"routing_key": KEY},
        }
    )
    assert [name for name, _ in policy.destinations()] == ["console", "ops", "ml", "pagerduty"]
    assert policy.pagerduty is not None
    assert policy.pagerduty.min_severity == "critical"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"webhooks": [{"name": "ops"}]}, "url is missing: give url or url_file"),
        (
            {"webhooks": [{"name": "ops", "url": "http://x", "url_file": "/y"}]},
            "both url and url_file are given",
        ),
        ({"webhooks": [{"name": "ops", "url": "ftp://x"}]}, "url must begin with http:// or https://"),
        ({"webhooks": [{"name": "a b", "url": "http://x"}]}, "String should match pattern"),
        (
            {"webhooks": [{"name": "ops", "url": "http://x", "secret": "s", "secret_file": "/y"}]},
            "both secret and secret_file are given",
        ),
        ({"webhooks": [{"name": "console", "url": "http://x"}]}, "two destinations are named 'console'"),
        ({"pagerduty": {}}, "routing_key is missing: give routing_key or routing_key_file"),
        ({"pagerduty": {"routing_key": "short"}}, "routing_key must have 32 characters"),
        (
            {"pagerduty": {"routing_key": KEY, "min_severity": "info"}},
            "Input should be 'warning' or 'critical'",
        ),
        ({"slack": {}}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_remedy(raw: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        AlertSettings.model_validate(raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"pagerduty": {"routing_key": "s3cret"}},
        {"pagerduty": {"routing_key": "s3cret" + "x" * 26, "min_severity": "loud"}},
        {"webhooks": [{"name": "ops", "url": "s3cret"}]},
        {"webhooks": [{"name": "ops", "url": "http://x", "secret": "s3cret", "secret_file": "/x"}]},
    ],
)
def test_an_error_in_the_settings_does_not_print_the_secret(raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        AlertSettings.model_validate(raw)
    assert "s3cret" not in str(caught.value)


def test_a_secret_comes_from_its_file_without_the_blanks_around_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"\n  {KEY}\n")
    assert read_secret(None, path) == KEY
    assert read_secret(SecretStr("here"), None) == "here"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_secret_file_that_holds_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SecretUnreadable, match=str(path)):
        read_secret(None, path)


def test_every_secret_is_typed_as_one_has_a_file_twin_and_every_field_is_described() -> None:
    found = [
        each for each in vars(settings).values() if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    secrets = 0
    for model in found:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            if field.annotation == SecretStr | None:
                secrets += 1
                assert f"{name}_file" in model.model_fields
    assert secrets == 3
