"""What the maker of curves is asked is checked before it trains."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from make_curves import FEWEST_STEPS, enough, writable


@pytest.mark.parametrize("text", ["0", "-3", "370", "many", "1.5", ""])
def test_steps_that_are_too_few_are_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"is no whole number of at least {FEWEST_STEPS}"):
        enough(text)


def test_a_folder_that_cannot_be_written_is_refused_and_one_that_can_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "in"):
        with pytest.raises(ArgumentTypeError, match=r"cannot be written \(.*\); give another"):
            writable(str(path))
    assert writable(str(tmp_path / "a" / "b")).is_dir()


def test_as_many_steps_as_the_last_injection_needs_are_enough() -> None:
    assert enough(str(FEWEST_STEPS)) == FEWEST_STEPS <= 500
