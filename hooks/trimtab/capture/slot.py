"""A place among the bundles of the next row, for values that several optimizers add to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from trimtab.capture.bundle import Bundle

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds at most one bundle in a list that others empty: what no row took is replaced, never added to.

    A bundle is made of the parts of those optimizers that have stepped since the last row.
    """

    def __init__(self, bundles: list[Bundle]) -> None:
        self._bundles = bundles
        self._bundle: Bundle | None = None
        self._parts: dict[int, T] = {}

    def gather(self, index: int, part: T) -> dict[int, T]:
        """Take an optimizer's part in; return those of all that have stepped since the last row."""
        if self._bundle is None or self._bundle not in self._bundles:
            self._parts.clear()
        self._parts[index] = part
        return self._parts

    def put(self, names: tuple[str, ...], tensor: Tensor) -> None:
        """Put values, by name in a tensor of shape (len(names),), in place of what waits."""
        self._take_back()
        self._bundle = Bundle(names, tensor)
        self._bundles.append(self._bundle)

    def clear(self) -> None:
        """Forget all."""
        self._take_back()
        self._parts.clear()

    def _take_back(self) -> None:
        if self._bundle is not None and self._bundle in self._bundles:
            self._bundles.remove(self._bundle)
        self._bundle = None
