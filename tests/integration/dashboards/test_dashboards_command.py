"""`trimtab dashboards build` and `trimtab dashboards check`."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from trimtab_dashboards.files import FOLDER
from trimtab_monitor.cli.dashboards import app


def test_what_is_committed_is_up_to_date() -> None:
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 0, result.stderr


def test_build_writes_what_check_wants(tmp_path: Path) -> None:
    run = CliRunner().invoke
    missing = run(app, ["check", "--folder", str(tmp_path)])
    assert missing.exit_code == 1
    assert "run: trimtab dashboards build" in missing.stderr
    built = run(app, ["build", "--folder", str(tmp_path)])
    assert built.stdout == f"wrote {tmp_path / 'run.json'}\n"
    assert (tmp_path / "run.json").read_bytes() == (FOLDER / "run.json").read_bytes()
    assert run(app, ["check", "--folder", str(tmp_path)]).exit_code == 0
