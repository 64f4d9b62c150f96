"""Where settings come from, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from trimtab_monitor.settings import Settings
from trimtab_monitor.settings_load import SettingsInvalid, load_settings


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "trimtab.toml") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def refused(config: Path | None = None, **flags: dict[str, object]) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(config, flags)
    return str(caught.value)


def test_all_have_a_default() -> None:
    assert load_settings() == Settings()
    assert (Settings().server.host, Settings().server.port) == ("127.0.0.1", 8787)


def test_flag_before_environment_before_file_before_default(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[server]\nhost = '::1'\nport = 1\nidle_exit_s = 5\n")
    monkeypatch.setenv("TRIMTAB_SERVER__PORT", "2")
    monkeypatch.setenv("TRIMTAB_SERVER__HOST", "localhost")
    server = load_settings(None, {"server": {"port": 3}}).server
    assert (server.port, server.host, server.idle_exit_s, server.stream_queue) == (3, "localhost", 5, 256)


def test_a_named_file_goes_before_the_one_at_hand() -> None:
    write("[server]\nport = 1\n")
    other = write("[server]\nport = 2\n", "other.toml")
    assert load_settings(other).server.port == 2


def test_settings_of_jobs_are_none_of_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRIMTAB_URL", "TRIMTAB_DIR", "TRIMTAB_RUN"):
        monkeypatch.setenv(name, "x")
    assert load_settings() == Settings()


def test_every_part_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[rollback]\nmargin_steps = 9\n[detectors.loss_spike]\ncritical_rise = 0.5\n")
    monkeypatch.setenv("TRIMTAB_ENERGY__PUE", "1.25")
    monkeypatch.setenv("TRIMTAB_LIVENESS__HUNG_AFTER_S", "10")
    settings = load_settings()
    assert settings.rollback.margin_steps == 9
    assert settings.detectors.loss_spike.critical_rise == 0.5
    assert (settings.energy.pue, settings.liveness.hung_after_s) == (1.25, 10)


class TestMistakes:
    def test_an_unknown_key_of_the_file_is_named_with_its_line(self) -> None:
        write("# mine\n[server]\nhost = '::1'\nprot = 9000\n")
        assert refused() == "trimtab.toml:4: server.prot: unknown key; did you mean port?"

    def test_an_unknown_table(self) -> None:
        write("[sever]\nport = 9000\n")
        assert refused() == "trimtab.toml:1: sever: unknown key; did you mean server?"

    def test_an_unknown_key_far_from_any(self) -> None:
        write("[liveness]\nbanana = 1\n")
        assert (
            "trimtab.toml:2: liveness.banana: unknown key; known keys: cause_wait_s, heartbeat" in refused()
        )

    def test_a_key_of_a_dataclass_is_named_too(self) -> None:
        write("[incidents]\nresolve_sample = 3\n")
        assert refused() == (
            "trimtab.toml:2: incidents.resolve_sample: unknown key; did you mean resolve_samples?"
        )

    def test_a_wrong_value_is_given_back(self) -> None:
        write("[server]\nport = 70000\n")
        assert refused() == (
            "trimtab.toml:2: server.port: 70000: input should be less than or equal to 65535"
        )

    def test_every_mistake_is_told(self) -> None:
        write("[server]\nport = 'x'\nhost = 3\n")
        lines = refused().splitlines()
        assert [line.partition(": ")[0] for line in lines] == ["trimtab.toml:3", "trimtab.toml:2"]

    def test_the_environment_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIMTAB_SERVER__PORT", "many")
        assert refused().startswith("environment TRIMTAB_SERVER__PORT: server.port: 'many': ")

    def test_an_unknown_key_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIMTAB_SERVER__PROT", "1")
        assert refused() == "environment TRIMTAB_SERVER__PROT: server.prot: unknown key; did you mean port?"

    def test_an_unknown_table_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIMTAB_SEVER__PORT", "1")
        assert refused() == "environment TRIMTAB_SEVER__PORT: unknown; did you mean server?"

    def test_a_flag_is_named(self) -> None:
        assert refused(server={"port": -1}).startswith("--port: server.port: -1: ")

    def test_a_file_that_is_not_there(self) -> None:
        assert refused(Path("nowhere.toml")).startswith("nowhere.toml: cannot be read (No such file")

    def test_a_file_that_is_not_toml(self) -> None:
        path = write("[server\nport = 1\n")
        assert refused(path).startswith("trimtab.toml: is not TOML: ")
        assert "line 1" in refused(path)

    def test_a_file_that_is_not_text(self) -> None:
        Path("trimtab.toml").write_bytes(b"\xff\xfe")
        assert "is not UTF-8 text" in refused()

    def test_no_secret_is_told(self) -> None:
        write("[alerts.pagerduty]\nrouting_key = 'hunter2'\n")
        assert "hunter2" not in refused()
        assert "alerts.pagerduty" in refused()

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("[energy.electricity_maps]\ntoken = 'hunter2'\nzone = ''\n", "energy.electricity_maps.zone"),
            ("[energy.electricity_maps]\ntoken = 'hunter2'\n", "electricity_maps.zone is missing"),
            ("[energy.electricity_maps]\ntokn = 'hunter2'\n", "did you mean token?"),
            ("[energy.watttime]\npassword = 'hunter2'\nregion = 'X'\n", "energy.watttime.user"),
            ("[energy]\nplace = 'CF'\n[energy.watttime]\npassword = 'hunter2'\nregion='X'\nuser='a'\n", "CF"),
            ("[energy.uk]\nurl = 'http://x/?key=hunter2'\n", "energy.uk.url"),
        ],
    )
    def test_no_secret_of_a_provider_of_intensities_is_told(self, text: str, names: str) -> None:
        write(text)
        assert "hunter2" not in refused()
        assert names in refused()

    def test_a_token_that_is_missing_is_named_with_the_remedy(self) -> None:
        write("[energy.electricity_maps]\nzone = 'FR'\n")
        assert refused() == (
            "trimtab.toml:1: energy.electricity_maps: token is missing: give token or token_file, "
            "or take the group out"
        )

    def test_hours_that_no_price_covers_are_named(self) -> None:
        write(
            "[energy.tariff]\ntime_zone = 'Europe/Paris'\n"
            "[[energy.tariff.periods]]\nfrom = '06:00'\nto = '22:00'\nprice = 0.3\n"
        )
        assert "energy.tariff: " in refused()
        assert "periods: mon 00:00 to mon 06:00 has no price" in refused()


def test_every_setting_is_described() -> None:
    described = dict(fields(Settings.model_fields))
    assert [name for name, text in described.items() if not text] == []
    assert {"server.port", "detectors.loss_spike.critical_rise", "incidents.resolve_samples"} <= set(
        described
    )


def fields(group: Mapping[str, FieldInfo], above: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in group.items():
        yield f"{above}{name}", field.description
        inner = getattr(field.annotation, "__pydantic_fields__", {})
        yield from fields(inner, f"{above}{name}.")
