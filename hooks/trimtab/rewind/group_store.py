"""The key-value store that the ranks of a process group share: how they agree without a collective."""

from __future__ import annotations

from typing import Protocol

from trimtab.identity import process_group


class CompareSet(Protocol):
    """A store in which the first to write a key wins."""

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        """Set a key that is not there, if `expected` is empty; return what it holds then."""


class GroupStore(CompareSet, Protocol):
    """The store as torch.distributed has it."""

    def set(self, key: str, value: str) -> None:
        """Set a key."""

    def get(self, key: str) -> bytes:
        """Return what a key holds."""

    def check(self, keys: list[str]) -> bool:
        """Tell whether all keys are there."""


def group_store() -> GroupStore | None:
    """Return the store of the process group, None if the job has not set one up."""
    group = process_group()
    if group is None:
        return None
    store: GroupStore = group.distributed_c10d._get_default_store()
    return store
