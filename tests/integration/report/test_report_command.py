"""`trimtab report` over a real store: whatever was in the log is in the report, judged or not."""

from __future__ import annotations

import csv
import io
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import urllib3
from typer import Typer
from typer.testing import CliRunner, Result

from trimtab import wire
from trimtab_monitor.app import build
from trimtab_monitor.cli import report
from trimtab_monitor.entries import BatchReceived, Entry, Registered, Registration, draft_of
from trimtab_monitor.ledger.testing import T0, device
from trimtab_monitor.pricing import EnergySettings
from trimtab_monitor.report.address import COLLECTOR_FILE
from trimtab_monitor.server import bind, url_of
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.sqlite import STORE_FILE, SqliteStore
from trimtab_monitor.teardown import Teardown

STEPS = 60
FIXED = {"TRIMTAB_ENERGY__INTENSITY_G_PER_KWH": "44.18"}
READY_SECONDS = 20.0

Trimtab = Callable[..., Result]


@pytest.fixture
def trimtab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trimtab:
    """`trimtab report`, in an empty folder and environment."""
    monkeypatch.delenv("TRIMTAB_URL", raising=False)
    monkeypatch.delenv("TRIMTAB_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    app = Typer()
    app.command()(report.command)
    return lambda *arguments, **env: CliRunner().invoke(app, list(arguments), env=env)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a collector that was killed: two runs in the log, nothing of it judged."""
    made = tmp_path / ".trimtab"
    store = SqliteStore(made / STORE_FILE)
    for entry in (*a_run("old", T0 - 1_000), *a_run("new", T0)):
        store.log.append(draft_of(entry)).result()
    store.close()
    return made


def a_run(run: str, start: float) -> Iterator[Entry]:
    """A minute at 700 W, a step a second."""
    yield Registered(start, run, Registration(project="gpt"))
    times = [start - T0 + i for i in range(STEPS + 1)]
    batch = wire.Batch(
        rank=0,
        seq=0,
        step=array("q", range(1, STEPS + 1)),
        time=array("d", (T0 + time for time in times[1:])),
        metrics={"loss": array("d", (5.0 - 0.01 * i for i in range(STEPS)))},
        devices=[device(times, power=[700.0] * len(times))],
        events=[{"kind": wire.RUN_END, "step": STEPS, "time": start + STEPS, "status": "finished"}],
    )
    yield BatchReceived(start + STEPS, run, batch)


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    parsed: dict[str, Any] = msgspec.json.decode(result.stdout)
    return parsed


@contextmanager
def serving(folder: Path, settings: Settings) -> Iterator[str]:
    """A collector over that folder; its URL."""
    with Teardown() as stop:
        listener = bind("127.0.0.1", 0)
        stop.add("listener", listener.close)
        server = build(settings, folder, url_of(listener), stop)
        thread = threading.Thread(target=server.serve_on, args=(listener,))
        thread.start()
        try:
            yield url_of(listener)
        finally:
            server.stop()
            thread.join()


def test_a_collector_tells_the_same_as_the_store_that_it_leaves(trimtab: Trimtab, folder: Path) -> None:
    priced = Settings(energy=EnergySettings(place="FR", intensity_g_per_kwh=44.18))
    with serving(folder, priced) as url:
        _wait_until_judged(url, "new")
        by_url = told(trimtab("new", "--format", "json", "--url", url))
        by_environment = told(trimtab("last", "--format", "json", TRIMTAB_URL=url))
        priced_here = told(trimtab("new", "--format", "json", "--url", url, "--place", "US-GA"))
        unknown = trimtab("nwe", "--url", url)
    by_store = told(trimtab("new", "--format", "json", TRIMTAB_ENERGY__PLACE="FR", **FIXED))
    assert by_url == by_environment == by_store
    assert any("left out: they rest on the collector's own" in each for each in priced_here["assumptions"])
    assert by_url["emissions_g"]["location"] == pytest.approx(42_000 / 3.6e6 * 44.18)
    assert priced_here["emissions_g"]["location"] == pytest.approx(42_000 / 3.6e6 * 325.43)
    assert unknown.exit_code == 2
    assert "knows no run 'nwe'; it knows new, old" in unknown.stderr


def test_several_runs_are_compared(trimtab: Trimtab, folder: Path) -> None:
    both = told(trimtab("old", "new", "last", "--format", "json", "--place", "FR"))
    assert [run["run"] for run in both["runs"]] == ["old", "new"]
    assert both["by_phase"]["phase not told"]["joules"] == 84_000
    text = trimtab("old", "new")
    assert text.exit_code == 0
    assert text.stdout.count("11.67 Wh") == 2
    unknown = trimtab("old", "nwe")
    assert (unknown.exit_code, unknown.stdout) == (2, "")


def test_all_runs_of_a_project_are_compared(trimtab: Trimtab, folder: Path) -> None:
    by_store = told(trimtab("--project", "gpt", "--format", "json"))
    with serving(folder, Settings()) as url:
        _wait_until_judged(url, "new")
        by_url = told(trimtab("--project", "gpt", "--format", "json", "--url", url))
    judged = told(trimtab("--project", "gpt", "--format", "json"))
    for each in (by_store, by_url, judged):
        assert {run["run"] for run in each["runs"]} == {"old", "new"}
    assert by_url["by_phase"] == by_store["by_phase"]
    assert "knows no run of project 'bert'" in trimtab("--project", "bert").stderr


@pytest.mark.parametrize("arguments", [(), ("new", "--project", "gpt")])
def test_runs_or_a_project_must_be_named(trimtab: Trimtab, folder: Path, arguments: tuple[str, ...]) -> None:
    result = trimtab(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give RUN (`last` is the newest), or several, or --project NAME" in result.stderr


def test_a_collector_that_runs_in_the_folder_is_asked(trimtab: Trimtab, folder: Path) -> None:
    with serving(folder, Settings(energy=EnergySettings(place="FR"))) as url:
        (folder / COLLECTOR_FILE).write_text(f'{{"url": "{url}", "pid": 1}}')
        _wait_until_judged(url, "new")
        while_running = told(trimtab("new", "--format", "json"))
    assert while_running["emissions_g"]["location"] is not None
    assert told(trimtab("new", "--format", "json"))["emissions_g"]["location"] is None


def _wait_until_judged(url: str, run: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while (
        msgspec.json.decode(urllib3.request("GET", f"{url}/v1/runs/{run}").data).get("status") != "finished"
    ):
        assert time.monotonic() < deadline, f"{run} is not finished after {READY_SECONDS} s"
        time.sleep(0.02)


@pytest.mark.usefixtures("folder")
def test_a_run_that_was_never_judged_is_reported_whole(trimtab: Trimtab) -> None:
    report_ = told(trimtab("new", "--format", "json", "--place", "FR", "--pue", "1.1", "--price", "0.5"))
    assert (report_["run"], report_["status"], report_["steps"]) == ("new", "finished", STEPS)
    assert report_["duration_s"] == STEPS
    assert report_["energy"]["joules"] == 42_000
    assert report_["emissions_g"]["location"] == pytest.approx(42_000 / 3.6e6 * 1.1 * 44.18)
    assert report_["cost"] == pytest.approx(42_000 / 3.6e6 * 1.1 * 0.5)
    assert report_["lost_work"] == {"steps": 0, "seconds": 0, "joules": 0}
    assert report_["incidents"] == report_["rollbacks"] == []


@pytest.mark.usefixtures("folder")
def test_settings_of_the_environment_price_it(trimtab: Trimtab) -> None:
    report_ = told(trimtab("new", "--format", "json", TRIMTAB_ENERGY__PLACE="US-GA"))
    assert report_["emissions_g"]["location"] == pytest.approx(42_000 / 3.6e6 * 325.43)


def test_the_folder_may_be_named(trimtab: Trimtab, folder: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    assert told(trimtab("new", "--dir", str(moved), "--format", "json"))["run"] == "new"
    assert told(trimtab("new", "--format", "json", TRIMTAB_DIR=str(moved)))["run"] == "new"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("format_", ["text", "markdown", "model-card"])
def test_every_way_to_tell_it_has_the_energy(trimtab: Trimtab, format_: str) -> None:
    result = trimtab("new", "--format", format_)
    assert result.exit_code == 0
    assert "11.67 Wh" in result.stdout


@pytest.mark.usefixtures("folder")
def test_csv_lines_of_runs_make_a_table(trimtab: Trimtab) -> None:
    first, second = (trimtab(run, "--format", "csv").stdout.splitlines() for run in ("old", "new"))
    assert first[0] == second[0]
    rows = list(csv.DictReader(io.StringIO("\n".join([*first, second[1]]))))
    assert [(row["run"], row["energy_joules"]) for row in rows] == [("old", "42000.0"), ("new", "42000.0")]


@pytest.mark.usefixtures("folder")
def test_an_unknown_run_lists_those_that_there_are(trimtab: Trimtab) -> None:
    result = trimtab("nwe")
    assert result.exit_code == 2
    assert "knows no run 'nwe'; it knows new, old" in result.stderr


def test_without_any_store_the_remedy_is_named(trimtab: Trimtab) -> None:
    result = trimtab("last")
    assert result.exit_code == 2
    assert "give --dir or --url, or set TRIMTAB_URL" in result.stderr


@pytest.mark.usefixtures("folder")
def test_an_unknown_place_is_wrong_input(trimtab: Trimtab) -> None:
    result = trimtab("new", "--place", "Atlantis")
    assert result.exit_code == 2
    assert "'Atlantis' is not in the table" in result.stderr


def test_a_collector_that_cannot_be_reached_is_a_failure(
    trimtab: Trimtab, free_port: Callable[[], int]
) -> None:
    result = trimtab("last", "--url", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "start it, or give --url or --dir" in result.stderr


@pytest.mark.parametrize("flag", ["--intensity", "--price", "--pue"])
def test_a_wrong_value_is_told_under_the_flag_that_was_given(trimtab: Trimtab, flag: str) -> None:
    result = trimtab("last", flag, "-1")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"trimtab report: {flag}: energy.")
    assert " -1.0: " in result.stderr


@pytest.mark.parametrize("url", ["ftp://x", "collector:8787", "http://"])
def test_a_url_that_is_none_is_told(trimtab: Trimtab, url: str) -> None:
    result = trimtab("last", TRIMTAB_URL=url)
    assert result.exit_code == 2
    assert f"{url!r}: give the collector's address" in result.stderr


@contextmanager
def somebody_else(status: int, media_type: str, body: bytes) -> Iterator[str]:
    """A server that is no collector; it answers everything with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server names it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        (404, "text/html", b"<html>\n<body>Not here</body>\n</html>"),
        (404, "application/json", b'{"error": "not here"}'),
        (200, "text/html", b"<html>\n<body>Welcome</body>\n</html>"),
        (200, "application/json", b'{"runs": []}'),
        (200, "application/json", b"[1, 2]"),
        (200, "application/octet-stream", b"\xff\xfe\xfd"),
    ],
)
def test_who_is_no_collector_is_told_in_one_line(
    trimtab: Trimtab, status: int, media_type: str, body: bytes
) -> None:
    with somebody_else(status, media_type, body) as url:
        result = trimtab("last", "--url", url)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "no collector of Trimtab's answers there; check --url, or TRIMTAB_URL" in result.stderr


def test_what_a_collector_says_of_its_refusal_is_passed_on(trimtab: Trimtab) -> None:
    body = b'{"title": "Unavailable", "status": 503, "detail": "the store cannot be read now"}'
    with somebody_else(503, "application/problem+json", body) as url:
        result = trimtab("last", "--url", url)
    assert result.exit_code == 1
    assert result.stderr.endswith("answered 503: the store cannot be read now\n")
