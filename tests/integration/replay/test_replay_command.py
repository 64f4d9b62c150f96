"""`trimtab replay` as people and scripts call it."""

from __future__ import annotations

import json
import math
import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

COMMAND = [sys.executable, "-m", "trimtab_monitor", "replay"]


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120
    )


@pytest.fixture
def spiky(tmp_path: Path) -> Path:
    """A run with a gradient spike that leads a loss spike, and a NaN at its end."""
    noise = random.Random(1)
    rows = []
    for step in range(1, 401):
        loss, norm = 2.0 + 3 * math.exp(-step / 30) + noise.gauss(0, 0.04), 0.3 * noise.lognormvariate(0, 0.2)
        if 201 <= step < 206:
            norm *= 20
        if 203 <= step < 206:
            loss += 2.5
        rows.append(f"{step},{'nan' if step == 400 else loss},{norm},0.001")
    path = tmp_path / "spiky.csv"
    path.write_text("step,loss,grad_norm,lr\n" + "\n".join(rows) + "\n")
    return path


def clean(folder: Path) -> Path:
    noise = random.Random(2)
    path = folder / "clean.jsonl"
    lines = [json.dumps({"step": step, "loss": 2.0 + noise.gauss(0, 0.04)}) for step in range(200)]
    path.write_text("\n".join(lines))
    return path


def test_json_is_one_object_a_line_for_each_file(spiky: Path, tmp_path: Path) -> None:
    done = run(spiky, clean(tmp_path), "--format", "json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["file"], first["rows"]) == (str(spiky), 400)
    spike, nan = first["incidents"]
    assert (spike["kind"], spike["severity"], spike["state"]) == ("loss_spike", "critical", "resolved")
    assert (spike["start_step"], spike["detected_step"]) == (201, 201)
    assert "gradient norm rose 2 steps earlier; learning rate unchanged" in spike["summary"]
    assert (nan["kind"], nan["detected_step"], nan["end_step"]) == ("non_finite", 400, None)
    assert (nan["evidence"]["value"], nan["evidence"]["score"]) == ("NaN", "Infinity")
    assert (second["rows"], second["incidents"]) == (200, [])


def test_text_is_plain_where_it_is_piped(spiky: Path, tmp_path: Path) -> None:
    done = run(spiky, cwd=tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"{spiky}: 400 rows, 2 incidents"
    assert len(lines) == 3
    assert "\x1b" not in done.stdout + done.stderr


def test_standard_input_is_a_file(spiky: Path, tmp_path: Path) -> None:
    with spiky.open() as given:
        done = subprocess.run(
            [*COMMAND, "-", "--format", "json"], stdin=given, capture_output=True, cwd=tmp_path, timeout=120
        )
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr, told["file"], told["rows"]) == (0, b"", "-", 400)
    assert [each["kind"] for each in told["incidents"]] == ["loss_spike", "non_finite"]


def test_what_is_wrong_with_standard_input_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "-"], input="step,loss\n1,low\n", capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.startswith("trimtab replay: standard input:2: column loss holds 'low'; ")
    assert run("-", "-", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(spiky: Path, tmp_path: Path, format_: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, spiky, "--format", format_],
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            timeout=120,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_file_that_cannot_be_read_does_not_stop_the_others(spiky: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("step,loss\n1,2.0\n2,low\n")
    done = run(bad, tmp_path / "gone.csv", spiky, "--format", "json", cwd=tmp_path)
    assert done.returncode == 2
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["file"], each["rows"]) for each in told] == [(str(bad), 1), (str(spiky), 400)]
    remedy = "give a number, NaN, inf, or nothing where not measured; what came before it was read"
    assert done.stderr.splitlines() == [
        f"trimtab replay: {bad}:3: column loss holds 'low'; {remedy}",
        f"trimtab replay: {tmp_path}/gone.csv: no such file or directory; give a file that can be read",
    ]


def test_a_folder_is_what_is_readable_in_it(spiky: Path, tmp_path: Path) -> None:
    clean(tmp_path)
    (tmp_path / "table.csv").write_text("name,size\na,1\n")
    (tmp_path / "notes.txt").write_text("x")
    done = run(tmp_path, "--format", "json", cwd=tmp_path)
    assert done.returncode == 0
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert files == [str(tmp_path / "clean.jsonl"), str(spiky)]
    first, second = done.stderr.splitlines()
    assert first == f"trimtab replay: {tmp_path}: passed over notes.txt: no recorded runs"
    assert second.startswith(f"trimtab replay: passed over {tmp_path}/table.csv: no column loss")


def test_what_is_broken_in_a_folder_is_told_and_so_is_a_folder_with_nothing(
    spiky: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text("step,loss\n1,2.0\n2,low\n")
    done = run(".", "--format", "json", cwd=tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (2, 2)
    assert "bad.csv:3: column loss holds 'low'" in done.stderr
    (tmp_path / "empty").mkdir()
    none = run("empty", cwd=tmp_path)
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr.startswith("trimtab replay: empty: holds no recorded run; give a folder with CSV")


def test_a_folder_whose_files_are_all_something_else_is_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("name,size\na,1\n")
    done = run(tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_what_was_found_before_a_bad_row_is_told(spiky: Path, tmp_path: Path) -> None:
    spiky.write_text(spiky.read_text().replace("\n300,", "\nthree hundred,"))
    done = run(spiky, "--format", "json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["rows"]) == (2, 299)
    assert [each["kind"] for each in told["incidents"]] == ["loss_spike"]
    assert f"{spiky}:301: column step holds 'three hundred'; " in done.stderr


def test_pipes_are_read_whatever_runs_through_them(spiky: Path, tmp_path: Path) -> None:
    for command, rows in [
        (f"cat {spiky}", 400),
        (f"gzip -c {spiky}", 400),
        (f"gzip -c {spiky} | head -c 3000", 0),
    ]:
        line = f"{shlex.join(COMMAND)} <({command}) --format json"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, timeout=120)
        told = json.loads(done.stdout)
        assert told["file"].startswith("/dev/fd/")
        if rows:
            assert (done.returncode, told["rows"], done.stderr) == (0, rows, "")
        else:
            assert (done.returncode, 0 < told["rows"] < 400) == (2, True)
            assert (
                "is cut off or damaged after this line (gzip); give all of it; what came before"
                in done.stderr
            )


def test_a_device_is_no_run_and_does_not_stop_the_others(spiky: Path, tmp_path: Path) -> None:
    done = run("/dev/zero", spiky, "--format", "json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["rows"]) == (2, 400)
    assert done.stderr == "trimtab replay: /dev/zero: is a device; give a file, or - for standard input\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("format_", ["text", "json"])
def test_output_that_cannot_be_written_is_told(spiky: Path, tmp_path: Path, format_: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, spiky, "--format", format_],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            timeout=120,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "trimtab replay: standard output: no space left on device; free some space, or write it elsewhere\n"
    )


def test_an_event_file_with_a_damaged_end_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path))
    for step in range(50):
        writer.add_scalar("loss", 2.0, step)
    writer.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3] + b"\0\0\0")
    done = run(path, "--format", "json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["rows"]) == (2, 49)
    assert "is damaged: its data has another checksum; what came before it was read" in done.stderr


def test_more_runs_than_a_picture_holds_are_drawn_into_a_folder(tmp_path: Path) -> None:
    for number in range(21):
        (tmp_path / f"run{number}.csv").write_text("step,loss\n1,2.0\n")
    refused = run(tmp_path, "--plot", "out.png", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "21 runs; give at most 20, or a folder that exists, for a picture of each" in refused.stderr
    (tmp_path / "pictures").mkdir()
    done = run(tmp_path / "run0.csv", tmp_path / "run1.csv", "--plot", "pictures", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["run0.csv.png", "run1.csv.png"]


def test_a_picture_is_drawn(spiky: Path, tmp_path: Path) -> None:
    done = run(spiky, clean(tmp_path), "--plot", "out.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    picture = (tmp_path / "out.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) > 20_000


def test_a_picture_is_a_png_or_goes_into_a_folder(spiky: Path, tmp_path: Path) -> None:
    done = run(spiky, "--plot", "out.jpg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--plot out.jpg: a picture is a PNG; give a .png file, or a folder that exists" in done.stderr


def test_values_off_every_scale_are_no_reason_for_no_picture(tmp_path: Path) -> None:
    rows = "1,1e308\n2,-1e308\n3,1e400\n4,nan\n9007199254740992,2.0\n"
    (tmp_path / "run.csv").write_text(f"step,loss\n{rows}")
    done = run("run.csv", "--plot", "out.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_a_picture_that_cannot_be_written_is_told_before_the_work(spiky: Path, tmp_path: Path) -> None:
    done = run(spiky, "--plot", "missing/out.png", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--plot missing/out.png: the folder missing does not exist; make it first" in done.stderr


def test_settings_are_read_from_file_and_environment(spiky: Path, tmp_path: Path) -> None:
    (tmp_path / "trimtab.toml").write_text(
        "[detectors.loss_spike]\nmin_rise = 50.0\n[detectors.grad_explosion]\nmin_rise = 900.0\n"
        "[detectors.divergence]\nmin_rise_sigma = 900.0\n"
    )
    done = run(spiky, "--format", "json", cwd=tmp_path)
    assert [each["kind"] for each in json.loads(done.stdout)["incidents"]] == ["non_finite"]
    (tmp_path / "trimtab.toml").write_text("[detectors.loss_spike]\nmin_rise = -1\n")
    wrong = run(spiky, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "min_rise" in wrong.stderr


def test_nothing_heavy_is_imported_for_a_replay(spiky: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from trimtab_monitor.replay.runner import Options, replay_file; "
        f"replay_file(Path({str(spiky)!r}), Options()); "
        "heavy = {'torch', 'matplotlib', 'sklearn', 'fastapi', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
