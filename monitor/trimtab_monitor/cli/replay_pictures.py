"""Where `trimtab replay --plot` draws: all runs into one file, or each into one of its own in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab_monitor.cli.outputs import check_writable
from trimtab_monitor.replay.runner import Replayed

PICTURE: Final = ".png"

MOST_PLOTTED: Final = 20
"""A picture of more runs than this nobody could read."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """`path` is a file, a folder, or none: then nothing is drawn."""

    path: Path | None
    each: bool = False

    @classmethod
    def into(cls, path: Path | None) -> Pictures:
        """Check that it can be drawn there.

        Raises:
            ValueError: it cannot.
        """
        if path is None or not path.is_dir():
            if path is not None and path.suffix.lower() != PICTURE:
                raise ValueError(
                    f"--plot {path}: a picture is a PNG; give a {PICTURE} file, or a folder that exists"
                )
            check_writable("--plot", path)
            return cls(path)
        if not os.access(path, os.W_OK):
            raise ValueError(f"--plot {path}: cannot be written; give a folder that can be")
        return cls(path, each=True)

    def check(self, runs: int) -> None:
        """Refuse to draw more runs than can be read.

        Raises:
            ValueError: there are too many for one picture.
        """
        if self.path is not None and not self.each and runs > MOST_PLOTTED:
            remedy = "or a folder that exists, for a picture of each"
            raise ValueError(f"--plot {self.path}: {runs} runs; give at most {MOST_PLOTTED}, {remedy}")

    def draw(self, runs: Iterable[Replayed], paths: Sequence[Path]) -> None:
        """Draw the runs as they come; `paths` are those of all runs."""
        if self.path is None:
            for _ in runs:
                pass
        elif self.each:
            top = _common_folder(paths)
            for run in runs:
                _draw([run], self.path / _file_name(run.path, top))
        elif kept := list(runs):
            _draw(kept, self.path)


def _draw(runs: Sequence[Replayed], path: Path) -> None:
    from trimtab_monitor.replay.plot import draw

    try:
        draw(runs, path)
    except OSError as error:
        raise OSError(f"--plot {path}: {error.strerror or error}; give a file that can be written") from None


def _common_folder(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([path.absolute().parent for path in paths])) if paths else Path()


def _file_name(path: Path, top: Path) -> str:
    """One name for one run: its path below the folder that all runs share."""
    return "__".join(path.absolute().relative_to(top).parts) + ".png"
