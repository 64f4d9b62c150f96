"""The documentation says what the code does: every setting, command and metric, and no other."""

from __future__ import annotations

import importlib.util
import inspect
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from trimtab import job_settings
from trimtab.sensors.cpu import rapl
from trimtab.signals import Signals, variable
from trimtab_monitor import kinds, metric_names
from trimtab_monitor.cause_rules import CauseClass
from trimtab_monitor.folding.events import KINDS

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


def load_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = load_reference()


@pytest.mark.parametrize("page", REFERENCE.PAGES)
def test_a_reference_page_is_what_the_code_says(page: str) -> None:
    assert (DOCS / page).read_text() == REFERENCE.PAGES[page](), "run: python docs/reference.py"


def test_every_metric_is_documented_and_no_other() -> None:
    named = {value for name, value in vars(metric_names).items() if name.isupper()}
    told = set(re.findall(r"^\| `(trimtab_\w+)`", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    assert told == named


def test_every_kind_of_incident_is_documented_in_its_story_and_no_other() -> None:
    page = (DOCS / "incidents.md").read_text()
    told: dict[str, str] = {}
    for title, chapter in re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", page, re.MULTILINE):
        told |= dict.fromkeys(re.findall(r"^### `(\w+)`$", chapter, re.MULTILINE), title.lower())
    special = dict.fromkeys(("hung", "failed", "budget"), "of the job itself")
    special["device_fault"] = "hardware"
    assert told == special | {name: kind.story for name, kind in kinds.KINDS.items()}


def test_every_class_of_cause_is_documented() -> None:
    page = (DOCS / "incidents.md").read_text()
    assert [name for name in get_args(CauseClass) if f"| `{name}` |" not in page] == []


def test_every_event_is_documented_with_its_fields() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|", (DOCS / "wire.md").read_text(), re.MULTILINE))
    for kind, event in KINDS.items():
        fields = set(event.__struct_fields__) - {"time", "step"}
        assert [name for name in fields if f"`{name}`" not in told[kind]] == []


def test_every_variable_of_the_job_is_documented() -> None:
    readers = map(inspect.getsource, (job_settings, rapl))
    read = {name for text in readers for name in re.findall(r'"(TRIMTAB_[A-Z_]+)"', text)}
    settings = (DOCS / "settings.md").read_text()
    told = set(re.findall(r"^\| `(TRIMTAB_[A-Z_]+)`", settings, re.MULTILINE))
    assert told == read
    signals = set(re.findall(r"^\| `\w+` \| `(TRIMTAB_[A-Z_]+)`", settings, re.MULTILINE))
    assert signals == {variable(each.name) for each in fields(Signals)}


def test_every_command_is_in_the_readme() -> None:
    commands = re.findall(r"^## `trimtab (\w+)`", (DOCS / "commands.md").read_text(), re.MULTILINE)
    readme = (ROOT / "README.md").read_text()
    assert [name for name in commands if f"`trimtab {name}" not in readme] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("decision", sorted((DOCS / "decisions").glob("0*.md")), ids=lambda p: p.name)
def test_every_decision_is_listed(decision: Path) -> None:
    assert f"({decision.name})" in (DOCS / "decisions" / "README.md").read_text()
