"""The providers, against a server that speaks their shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab_monitor.pricing import EnergySettings
from trimtab_monitor.pricing.intensity.provider import Provider, ProviderFailed
from trimtab_monitor.pricing.intensity.providers import providers
from trimtab_monitor.pricing.intensity.testing import PASSWORD, TOKEN, USER, Answer, GridServer
from trimtab_monitor.pricing.intensity.values import HOUR_S, HourlyIntensity, ValueRefused

H0 = 1_767_225_600  # 2026-01-01 00:00 UTC
NOW = H0 + 3 * HOUR_S + 600.0
CURRENT = H0 + 3 * HOUR_S
SECRETS = (TOKEN, PASSWORD)


@pytest.fixture
def grid() -> Iterator[GridServer]:
    with GridServer({H0 + i * HOUR_S: 100.0 + i for i in range(4)}) as server:
        server.estimated = {CURRENT}
        yield server


def electricity_maps(grid: GridServer, **given: Any) -> Provider:
    return only({"electricity_maps": {"url": grid.url, "zone": "FR", "token": TOKEN, **given}})


def watttime(grid: GridServer, **given: Any) -> Provider:
    account = {"url": grid.url, "region": "CAISO_NORTH", "user": USER, "password": PASSWORD}
    return only({"watttime": {**account, **given}})


def uk(grid: GridServer, **given: Any) -> Provider:
    return only({"uk": {"url": grid.url, "enabled": True, **given}})


def only(settings: dict[str, Any]) -> Provider:
    (asked,) = providers(EnergySettings.model_validate(settings))
    return asked.provider


Make = Callable[[GridServer], Provider]
every = pytest.mark.parametrize("make", [electricity_maps, watttime, uk])


def told(values: Sequence[HourlyIntensity]) -> list[tuple[float, float, bool]]:
    return [((each.hour - H0) / HOUR_S, round(each.g_per_kwh, 6), each.is_estimated) for each in values]


def failure(provider: Provider) -> ProviderFailed:
    """How asking fails; no secret is in what it says."""
    with pytest.raises((ProviderFailed, ValueRefused)) as caught:
        provider.fetch(H0, CURRENT + HOUR_S, NOW)
    assert not any(secret in str(caught.value) for secret in SECRETS)
    if isinstance(caught.value, ProviderFailed):
        return caught.value
    return ProviderFailed(str(caught.value))


# --- what they tell ---


@every
def test_each_hour_that_was_asked_for_with_what_is_still_an_estimate(make: Make, grid: GridServer) -> None:
    values = make(grid).fetch(H0 + HOUR_S, CURRENT + HOUR_S, NOW)
    assert told(values) == [(1, 101, False), (2, 102, False), (3, 103, True)]
    assert {(each.provider, each.zone, each.signal, each.basis) for each in values} == {
        (make(grid).name, make(grid).zone, make(grid).signal, make(grid).basis)
    }
    assert all(each.fetched == NOW for each in values)


@every
def test_nothing_is_told_of_hours_that_the_provider_does_not_know(make: Make, grid: GridServer) -> None:
    grid.values = {CURRENT - HOUR_S: 7.0}
    assert told(make(grid).fetch(H0 - 9 * HOUR_S, CURRENT, NOW)) == [(2, 7, False)]


@every
def test_zero_is_a_value(make: Make, grid: GridServer) -> None:
    grid.values = {H0: 0.0}
    assert told(make(grid).fetch(H0, H0 + HOUR_S, NOW)) == [(0, 0, False)]


def test_average_and_marginal_are_told_apart(grid: GridServer) -> None:
    assert [make(grid).signal for make in (electricity_maps, watttime, uk)] == [
        "average",
        "marginal",
        "average",
    ]


def test_the_kind_of_emission_factors_is_asked_for_and_kept(grid: GridServer) -> None:
    provider = electricity_maps(grid, emission_factors="direct")
    (value,) = provider.fetch(H0, H0 + HOUR_S, NOW)
    assert value.basis == "direct, of consumption"
    assert "emissionFactorType=direct" in grid.asked[0]


def test_a_half_hour_of_which_the_actual_is_not_known_makes_the_hour_an_estimate(grid: GridServer) -> None:
    halves = [
        {"from": "2026-01-01T00:00Z", "intensity": {"forecast": 90, "actual": 100}},
        {"from": "2026-01-01T00:30Z", "intensity": {"forecast": 200, "actual": None}},
        {"from": "2026-01-01T01:00Z", "intensity": {"forecast": None, "actual": None}},
        {"from": "2026-01-01T01:30Z", "intensity": {"forecast": 1, "actual": 2}},
    ]
    grid.then(Answer(body=json.dumps({"data": halves}).encode()))
    assert told(uk(grid).fetch(H0, CURRENT, NOW)) == [(0, 150, True), (1, 2, True)]


def test_a_region_with_fewer_values_an_hour_says_so(grid: GridServer) -> None:
    provider = watttime(grid)
    provider.fetch(H0, CURRENT, NOW)
    meta = {"units": "lbs_co2_per_mwh", "data_point_period_seconds": 1800}
    data = [{"point_time": f"2026-01-01T00:{minute}:00+00:00", "value": 1000} for minute in ("00", "30")]
    grid.then(Answer(body=json.dumps({"data": data, "meta": meta}).encode()))
    assert told(provider.fetch(H0, CURRENT, NOW)) == [(0, 453.59237, False)]


# --- WattTime's token ---


def test_a_token_is_kept_and_renewed_when_it_is_refused(grid: GridServer) -> None:
    provider = watttime(grid)
    for _ in range(2):
        provider.fetch(H0, CURRENT, NOW)
    assert grid.asked.count("/login") == 1
    grid.forget_tokens()
    assert len(provider.fetch(H0, CURRENT, NOW)) == 3
    assert grid.asked.count("/login") == 2


def test_a_password_that_is_wrong_is_not_tried_twice(grid: GridServer) -> None:
    failed = failure(watttime(grid, password="wrong"))
    assert failed.is_lasting
    assert "check energy.watttime.user and password" in str(failed)
    assert grid.asked == ["/login"]


def test_an_account_without_forecasts_gets_the_past(grid: GridServer) -> None:
    provider = watttime(grid)
    provider.fetch(H0, CURRENT, NOW)
    grid.then(Answer(body=b'{"data": [], "meta": {"units": "lbs_co2_per_mwh"}}'), Answer(403))
    assert provider.fetch(CURRENT, CURRENT + HOUR_S, NOW) == []


# --- what goes wrong ---


def test_a_token_that_is_refused_is_told_with_its_setting(grid: GridServer) -> None:
    failed = failure(electricity_maps(grid, token="wrong"))
    assert failed.is_lasting
    assert str(failed) == f"{grid.url} refused us (401): check energy.electricity_maps.token"


def test_a_token_comes_from_its_file_at_each_request(grid: GridServer, tmp_path: Path) -> None:
    path = tmp_path / "token"
    provider = electricity_maps(grid, token=None, token_file=path)
    assert str(failure(provider)).startswith(f"energy.electricity_maps.token_file: {path}")
    path.write_text(f"{TOKEN}\n")
    assert len(provider.fetch(H0, CURRENT, NOW)) == 3


@pytest.mark.parametrize("text", [f"{TOKEN}\n{TOKEN}", f"{TOKEN}\u20ac", f"{TOKEN}\x00"])
def test_a_token_that_no_header_can_hold_is_told_and_not_printed(
    grid: GridServer, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    failed = failure(electricity_maps(grid, token=None, token_file=path))
    assert "energy.electricity_maps.token holds what no header can" in str(failed)
    assert grid.asked == []


@every
def test_a_pause_that_is_asked_for_is_passed_on(make: Make, grid: GridServer) -> None:
    grid.then(Answer(429, headers={"Retry-After": "120"}))
    failed = failure(make(grid))
    assert (failed.status, failed.pause_s, failed.is_lasting) == (429, 120, False)


@every
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(500, b"oops"), "answered 500"),
        (Answer(302, headers={"Location": "http://127.0.0.1:1/"}), "redirect (302), which is not followed"),
        (Answer(body=b"<html>Sign in</html>"), "not JSON"),
        (Answer(body=b""), "not JSON"),
        (Answer(body=b"[" * 100_000), "not JSON"),
        (Answer(body=b"\xff\xfe"), "not JSON"),
        (Answer(body=b"null"), "the answer"),
        (Answer(body=b'{"data": 3, "history": 3}'), "the answer"),
        (Answer(body=b"x" * 5_000_000), "longer than 4194304 bytes"),
    ],
)
def test_rubbish_is_refused(make: Make, grid: GridServer, answer: Answer, says: str) -> None:
    grid.then(answer)
    assert says in str(failure(make(grid)))


@pytest.mark.parametrize(
    "value", ["-1", "5001", "NaN", "Infinity", "1e400", "1" + "0" * 400, '"12"', "true", "{}"]
)
def test_an_intensity_that_cannot_be_is_refused(grid: GridServer, value: str) -> None:
    moment = '"datetime": "2026-01-01T00:00:00Z"'
    grid.then(Answer(body=f'{{"history": [{{"carbonIntensity": {value}, {moment}}}]}}'.encode()))
    with pytest.raises(ValueRefused):
        electricity_maps(grid).fetch(H0, CURRENT, NOW)


def test_a_history_of_another_zone_is_refused_though_its_entries_name_none(grid: GridServer) -> None:
    entry = '{"carbonIntensity": 50, "datetime": "2026-01-01T00:00:00Z"}'
    grid.then(Answer(body=f'{{"zone": "DE", "history": [{entry}]}}'.encode()))
    with pytest.raises(ValueRefused, match="zone is 'DE', we asked for 'FR'"):
        electricity_maps(grid).fetch(H0, CURRENT, NOW)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"zone": "DE"}, "zone is 'DE', we asked for 'FR'"),
        ({"emissionFactorType": "direct"}, "emissionFactorType is 'direct', we asked for 'lifecycle'"),
        ({"datetime": "yesterday"}, "'yesterday' is no time"),
        ({"datetime": None}, "is no time"),
    ],
)
def test_what_was_not_asked_for_is_refused(grid: GridServer, changed: dict[str, Any], says: str) -> None:
    entry = {"zone": "FR", "carbonIntensity": 50, "datetime": "2026-01-01T00:00:00Z", **changed}
    grid.then(Answer(body=json.dumps({"history": [entry]}).encode()))
    with pytest.raises(ValueRefused, match=says):
        electricity_maps(grid).fetch(H0, CURRENT, NOW)


@pytest.mark.parametrize("units", ["g_co2_per_kwh", None])
def test_a_marginal_rate_in_another_unit_is_refused(grid: GridServer, units: str | None) -> None:
    provider = watttime(grid)
    provider.fetch(H0, CURRENT, NOW)
    meta = {"region": "CAISO_NORTH"} | ({"units": units} if units else {})
    grid.then(Answer(body=json.dumps({"data": [], "meta": meta}).encode()))
    with pytest.raises(ValueRefused, match="units"):
        provider.fetch(H0, CURRENT, NOW)


@every
@pytest.mark.parametrize(
    "answer", [Answer(hangs=True), Answer(drips_head=True), Answer(drips=True), Answer(body=b"{", drips=True)]
)
def test_who_hangs_or_drips_is_given_up_in_time(make: Make, grid: GridServer, answer: Answer) -> None:
    grid.then(answer)
    assert failure(make(grid, timeout_s=0.05)).status is None  # type: ignore[call-arg]


def test_nobody_there_is_told(grid: GridServer) -> None:
    provider = uk(grid, url="http://127.0.0.1:1")
    assert "Connection refused" in str(failure(provider))


# --- settings ---


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"electricity_maps": {"zone": "FR"}}, "token is missing: give token or token_file"),
        ({"electricity_maps": {"zone": "FR", "token": " "}}, "token is missing"),
        ({"electricity_maps": {"token": TOKEN, "token_file": "/x"}}, "both token and token_file are given"),
        ({"electricity_maps": {"token": TOKEN}}, "electricity_maps.zone is missing"),
        ({"electricity_maps": {"token": TOKEN}, "place": "US-GA"}, "electricity_maps.zone is missing"),
        ({"electricity_maps": {"token": TOKEN, "zone": "FR&x=1"}}, "electricity_maps.zone"),
        (
            {"electricity_maps": {"token": TOKEN, "zone": "FR", "url": f"http://u:{TOKEN}@x"}},
            "electricity_maps.url",
        ),
        ({"watttime": {"region": "CAISO_NORTH", "user": "ada"}}, "password is missing"),
        ({"watttime": {"user": "ada", "password": PASSWORD}}, "watttime.region"),
        ({"uk": {"enabled": True}, "place": "FR"}, "it tells of Great Britain"),
        (
            {"uk": {"enabled": True}, "electricity_maps": {"token": TOKEN, "zone": "GB"}},
            "take one of them out",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_without_their_secrets(
    settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        EnergySettings.model_validate(settings)
    assert says in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_the_zone_is_that_of_the_country(grid: GridServer) -> None:
    provider = only({"place": "France", "electricity_maps": {"url": grid.url, "token": TOKEN}})
    assert provider.zone == "FR"


def test_no_secret_is_printed() -> None:
    settings = EnergySettings.model_validate(
        {
            "electricity_maps": {"zone": "FR", "token": TOKEN},
            "watttime": {"region": "CAISO_NORTH", "user": USER, "password": PASSWORD},
        }
    )
    printed = f"{settings!r} {settings} {settings.model_dump_json()} {providers(settings)!r}"
    assert not any(secret in printed for secret in SECRETS)
