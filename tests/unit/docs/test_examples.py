"""The settings that the documentation shows are settings that a collector starts with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimtab_monitor.settings_load import load_settings

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, text in enumerate(
        re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    )
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_of_settings_can_be_loaded(text: str, tmp_path: Path) -> None:
    path = tmp_path / "trimtab.toml"
    path.write_text(text)
    assert load_settings(path)
