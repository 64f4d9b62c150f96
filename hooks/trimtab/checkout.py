"""Which commit of which branch a job's code is at, read from `.git` without running git."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_HEADS: Final = "refs/heads/"
_COMMIT: Final = re.compile(r"[0-9a-f]{6,64}")
_LONGEST_BRANCH: Final = 200


def git_state(start: Path) -> dict[str, str]:
    """Return `commit` and `branch` of what is checked out at `start` or above it, as far as they are known.

    A head that is detached has no branch. Whether files were changed since is not known: git would have to
    look at each of them.
    """
    try:
        git = _git_folder(start)
        return {} if git is None else _state_of(git)
    except (OSError, UnicodeDecodeError):
        return {}


def _git_folder(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        git = folder / ".git"
        if git.is_file():  # a worktree or a submodule: it says where its folder is
            return folder / git.read_text().removeprefix("gitdir:").strip()
        if (git / "HEAD").is_file():
            return git
    return None


def _state_of(git: Path) -> dict[str, str]:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return {"commit": head} if _COMMIT.fullmatch(head) else {}
    ref = head.removeprefix("ref:").strip()
    branch = {"branch": ref.removeprefix(_HEADS)[:_LONGEST_BRANCH]} if ref.startswith(_HEADS) else {}
    commit = _commit_of(git, ref)
    return branch if commit is None else {"commit": commit, **branch}


def _commit_of(git: Path, ref: str) -> str | None:
    common = git / "commondir"
    shared = git / common.read_text().strip() if common.is_file() else git
    loose = next((folder / ref for folder in (git, shared) if (folder / ref).is_file()), None)
    if loose is not None:
        return loose.read_text().strip() or None
    packed = shared / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split(" ", 1)[0] for line in lines if line.endswith(f" {ref}")), None)
