"""Where a command is to write is checked before it works."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from trimtab_monitor.cli import demo
from trimtab_monitor.cli.outputs import check_writable


def test_a_file_in_a_folder_that_is_there_is_fine(tmp_path: Path) -> None:
    check_writable("--plot", None)
    check_writable("--plot", tmp_path / "new.png")
    (tmp_path / "old.png").write_text("")
    check_writable("--plot", tmp_path / "old.png")


def test_a_directory_and_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^--plot {tmp_path}: is a directory; give a file in it"):
        check_writable("--plot", tmp_path)
    with pytest.raises(ValueError, match=r"gone/out\.json: the folder .*gone does not exist; make it first"):
        check_writable("--json", tmp_path / "gone" / "out.json")


@pytest.mark.parametrize("option", ["--plot", "--json"])
def test_the_demo_finds_out_before_it_trains(option: str, tmp_path: Path) -> None:
    app = Typer()
    app.command()(demo.command)
    result = CliRunner().invoke(app, [option, str(tmp_path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"trimtab demo: {option} {tmp_path}: is a directory" in result.stderr
