"""The environment is read into settings, and a wrong value is told with the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trimtab.job_settings import JobSettings


def test_arguments_come_before_the_environment() -> None:
    environ = {"TRIMTAB_URL": "http://environ:1/", "TRIMTAB_RUN": "r", "TRIMTAB_SNAPSHOT_EVERY": "7"}
    found = JobSettings.from_environ(environ, "http://argument:1")
    assert (found.url, found.run, found.snapshot_every) == ("http://argument:1", "r", 7)
    assert JobSettings.from_environ(environ).url == "http://environ:1"


def test_a_run_is_named_by_the_environment() -> None:
    found = JobSettings.from_environ({"TRIMTAB_PROJECT": "gpt", "TRIMTAB_NAME": "first"})
    assert (found.project, found.name) == ("gpt", "first")
    assert JobSettings.from_environ({"TRIMTAB_PROJECT": "", "TRIMTAB_NAME": ""}) == JobSettings()


def test_nothing_set_gives_the_defaults() -> None:
    assert JobSettings.from_environ({"TRIMTAB_URL": "", "TRIMTAB_DIR": ""}) == JobSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRIMTAB_URL", "ftp://host"),
        ("TRIMTAB_URL", "host:8787"),
        ("TRIMTAB_URL", "http://"),
        ("TRIMTAB_URL", "http://host:port"),
        ("TRIMTAB_URL", "http://host:70000"),
        ("TRIMTAB_URL", "http://host:0"),
        ("TRIMTAB_URL", "http://[::1"),
        ("TRIMTAB_DISABLED", "maybe"),
        ("TRIMTAB_RUN", "a b"),
        ("TRIMTAB_RING_BYTES", "10"),
        ("TRIMTAB_SPOOL_BYTES", "lots"),
        ("TRIMTAB_SNAPSHOT_KEEP", "0"),
        ("TRIMTAB_ATTEMPT", "-1"),
    ],
)
def test_a_wrong_value_is_told_with_the_remedy(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"give|use") as caught:
        JobSettings.from_environ({name: value})
    assert value in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [3, 0, b"http://host", "http://\udc80", "http://host/?page=1", "http://host#top", "http://me:word@host"],
)
def test_a_url_that_is_none_is_told(url: Any) -> None:
    with pytest.raises(ValueError, match=r"^url: .*give"):
        JobSettings.from_environ({"TRIMTAB_URL": "http://environ:1"}, url)


def test_the_spool_is_beside_the_embedded_collector_or_in_the_state_folder(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path)}
    assert JobSettings().spool_root(state) == Path.cwd() / ".trimtab" / "spool"
    assert JobSettings(url="http://c").spool_root(state) == tmp_path / "trimtab" / "spool-remote"
    given = JobSettings(url="http://c", folder=tmp_path / "x")
    assert given.spool_root(state) == tmp_path / "x" / "spool-remote"
    default = Path.home() / ".local" / "state" / "trimtab" / "spool-remote"
    assert JobSettings(url="http://c").spool_root({}) == default


@pytest.mark.parametrize(
    ("text", "disabled"),
    [(text, True) for text in ("1", "true", "yes", "on", "ON ")]
    + [(text, False) for text in ("", "0", "false", "no", "Off")],
)
def test_watching_can_be_switched_off(text: str, disabled: bool) -> None:
    assert JobSettings.from_environ({"TRIMTAB_DISABLED": text}).disabled is disabled
