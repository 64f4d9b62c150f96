"""The commit and the branch are read from a repository as git leaves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.checkout import git_state

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def git(tmp_path: Path) -> Path:
    folder = tmp_path / ".git"
    (folder / "refs" / "heads" / "fix").mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/fix/nan\n")
    return folder


def test_a_branch_is_found_from_below_loose_or_packed(git: Path, tmp_path: Path) -> None:
    (git / "packed-refs").write_text(f"# pack-refs\n{'f' * 40} refs/heads/fix/nan\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert git_state(below) == {"commit": "f" * 40, "branch": "fix/nan"}
    (git / "refs" / "heads" / "fix" / "nan").write_text(f"{COMMIT}\n")
    assert git_state(below) == {"commit": COMMIT, "branch": "fix/nan"}


def test_a_detached_head_has_no_branch(git: Path, tmp_path: Path) -> None:
    (git / "HEAD").write_text(f"{COMMIT}\n")
    assert git_state(tmp_path) == {"commit": COMMIT}


def test_a_branch_without_a_commit_is_known_by_its_name(git: Path, tmp_path: Path) -> None:
    assert git_state(tmp_path) == {"branch": "fix/nan"}


def test_a_worktree_has_its_own_head_and_shares_the_rest(git: Path, tmp_path: Path) -> None:
    (git / "refs" / "heads" / "other").write_text(f"{COMMIT}\n")
    own = git / "worktrees" / "w"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/other\n")
    (own / "commondir").write_text("../..\n")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {own}\n")
    assert git_state(tree) == {"commit": COMMIT, "branch": "other"}


@pytest.mark.parametrize("head", [b"", b"\xff\xfe", b"what is this"])
def test_a_head_that_is_none_is_passed_over(git: Path, tmp_path: Path, head: bytes) -> None:
    (git / "HEAD").write_bytes(head)
    assert git_state(tmp_path) == {}


def test_a_folder_of_git_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere/at/all\n")
    assert git_state(tmp_path) == {}
