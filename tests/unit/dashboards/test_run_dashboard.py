from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from trimtab_dashboards.files import FOLDER, build, stale, write
from trimtab_monitor import metric_names

TEXT = (FOLDER / "run.json").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads(TEXT)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EACH_PANEL = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def test_building_gives_the_committed_json_byte_for_byte() -> None:
    assert build() == {"run.json": TEXT}
    assert stale() == {}


def test_every_committed_file_is_built() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(build())


def test_writing_tells_what_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.json"
    assert write(tmp_path / "new") == [path]
    assert path.read_text(encoding="utf-8") == TEXT
    assert write(tmp_path / "new") == []
    path.write_text("{}")
    assert list(stale(tmp_path / "new")) == [path]


def test_its_address_stays_and_it_asks_for_a_data_source_and_a_run() -> None:
    assert DASHBOARD["uid"] == "trimtab-run"
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert variables["run"]["query"]["query"] == "label_values(trimtab_run_info, run)"
    assert variables["run"]["refresh"] == 2


def test_what_a_run_is_watched_for_is_there() -> None:
    titles = {panel["title"] for panel in PANELS}
    assert {"Loss", "Gradient norm", "Power", "Energy", "Incidents", "Step", "Step time", "Status"} <= titles


def test_panels_have_addresses_of_their_own() -> None:
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


@EACH_PANEL
def test_a_panel_is_of_a_kind_that_every_grafana_has_and_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"timeseries", "stat", "table", "state-timeline"}
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@EACH_PANEL
def test_every_query_is_of_the_chosen_run_and_names_its_series(panel: dict[str, Any]) -> None:
    known = {value for name, value in vars(metric_names).items() if name.isupper()}
    refs = [target["refId"] for target in panel["targets"]]
    assert refs == sorted(set(refs))
    for target in panel["targets"]:
        used = re.findall(r"trimtab_\w+", target["expr"])
        assert used
        assert set(used) <= known
        assert target["expr"].count('run="$run"') == len(used)
        assert target["legendFormat"]
        assert target["instant"] is not target["range"]
        assert target["range"] is (panel["type"] in {"timeseries", "state-timeline"})


@pytest.mark.parametrize(
    ("title", "unit"),
    [("Power", "watt"), ("Energy", "joule"), ("IT energy", "joule"), ("Step time", "s"), ("Loss", "none")],
)
def test_figures_have_their_units(title: str, unit: str) -> None:
    (panel,) = (panel for panel in PANELS if panel["title"] == title)
    assert panel["fieldConfig"]["defaults"]["unit"] == unit


def test_panels_fill_the_grid_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert {column for column, _ in taken} == set(range(24))
    rows = sorted({row for _, row in taken})
    assert all(b - a == 1 for a, b in pairwise(rows))
    assert len(taken) == 24 * len(rows)
