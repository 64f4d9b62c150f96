"""Which boards this process may use, as CUDA reads CUDA_VISIBLE_DEVICES, and how much of each.

A board is known by its UUID, never by its number. Energy and power are told of whole boards only: of one that
is cut into MIG slices, a job is told its part by the slices that it holds (`held_share`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from trimtab.sensors.nvidia.at_once import at_once
from trimtab.sensors.nvidia.driver import Driver


@dataclass(slots=True)
class Board:
    """A GPU. If it `is_cut` into MIG slices, this process has `slices`: `slices_held` of `slices_in_all`."""

    driver: Driver
    handle: Any
    uuid: str
    name: str
    is_cut: bool = False
    slices: tuple[str, ...] = ()
    slices_held: int = 0
    slices_in_all: int = 0

    @property
    def held_share(self) -> float | None:
        """The part of it that the slices make; None: all of it."""
        return self.slices_held / self.slices_in_all if self.slices_in_all else None

    def ask(self, name: str, *args: Any) -> Any | None:
        """Ask NVML about this board; None where there is no answer."""
        return self.driver.ask(name, self.handle, *args)

    def find_again(self) -> bool:
        """Look for it by its UUID: a handle is of no use once the driver was reloaded or the board reset."""
        handle = self.driver.handle(self.uuid)
        if handle is None:
            return False
        self.handle = handle
        return True


def visible_boards(driver: Driver, visible: str | None) -> list[Board]:
    """Return the boards that `visible` names, up to the first entry that is none; None names all.

    Numbers are taken in the order of the PCI bus, which is CUDA's own with CUDA_DEVICE_ORDER=PCI_BUS_ID,
    and where all boards are alike.
    """
    handles = list(_handles(driver))
    boards: dict[str, Board] = {}
    named = list(_named(driver, handles, visible))
    for board, (_, slice_) in zip(
        at_once(partial(_board, driver), [handle for handle, _ in named]), named, strict=True
    ):
        if board is not None:
            kept = boards.setdefault(board.uuid, board)
            _hold(kept, slice_)
    return list(boards.values())


def _handles(driver: Driver) -> Iterator[Any]:
    for index in range(driver.ask("nvmlDeviceGetCount") or 0):
        handle = driver.ask("nvmlDeviceGetHandleByIndex", index)
        if handle is not None:
            yield handle


def _board(driver: Driver, handle: Any) -> Board | None:
    name, uuid = driver.ask("nvmlDeviceGetName", handle), driver.ask("nvmlDeviceGetUUID", handle)
    return (
        None if name is None or uuid is None else Board(driver, handle, uuid, name, _is_cut(driver, handle))
    )


def _is_cut(driver: Driver, handle: Any) -> bool:
    mode = driver.ask("nvmlDeviceGetMigMode", handle)
    return mode is not None and bool(mode[0])


def _named(driver: Driver, handles: list[Any], visible: str | None) -> Iterator[tuple[Any, Any | None]]:
    """Yield each board that is named, with the slice of it that is, if one is."""
    if visible is None:
        yield from zip(handles, at_once(partial(_first_slice, driver), handles), strict=True)
        return
    for entry in visible.split(","):
        found = _find(driver, handles, entry.strip())
        if found is None:
            return
        yield found


def _find(driver: Driver, handles: list[Any], entry: str) -> tuple[Any, Any | None] | None:
    if entry.isdigit():
        handle = handles[int(entry)] if int(entry) < len(handles) else None
        return None if handle is None else (handle, _first_slice(driver, handle))
    if entry.startswith("MIG-"):
        return _find_slice(driver, handles, entry)
    for handle in handles:  # CUDA takes the beginning of a UUID too
        if entry and str(driver.ask("nvmlDeviceGetUUID", handle)).startswith(entry):
            return handle, _first_slice(driver, handle)
    return None


# --- MIG slices ---


def _find_slice(driver: Driver, handles: list[Any], entry: str) -> tuple[Any, Any | None] | None:
    """Find a slice by its UUID, or by the name that it had in older drivers; its board is looked through."""
    for handle in handles:
        for slice_ in _slices(driver, handle):
            if entry in _names(driver, handle, slice_):
                return handle, slice_
    return None


def _slices(driver: Driver, handle: Any) -> Iterator[Any]:
    """Yield the slices of a board that this process may see; a board that is not cut has none."""
    if not _is_cut(driver, handle):
        return
    for index in range(driver.ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        slice_ = driver.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        if slice_ is not None:
            yield slice_


def _first_slice(driver: Driver, handle: Any) -> Any | None:
    """Return the slice that CUDA uses where none is named: of a board that is cut it uses one only."""
    return next(_slices(driver, handle), None)


def _names(driver: Driver, handle: Any, slice_: Any) -> tuple[str, str]:
    board = driver.ask("nvmlDeviceGetUUID", handle)
    gpu = driver.ask("nvmlDeviceGetGpuInstanceId", slice_)
    compute = driver.ask("nvmlDeviceGetComputeInstanceId", slice_)
    return str(driver.ask("nvmlDeviceGetUUID", slice_)), f"MIG-{board}/{gpu}/{compute}"


def _hold(board: Board, slice_: Any | None) -> None:
    """Add a slice to those of the board that this process holds."""
    if slice_ is None:
        return
    uuid = str(board.driver.ask("nvmlDeviceGetUUID", slice_))
    attributes = board.driver.ask("nvmlDeviceGetAttributes_v2", slice_)
    in_all = board.ask("nvmlDeviceGetMaxMigDeviceCount")
    if uuid in board.slices or attributes is None or not in_all:
        return
    board.slices += (uuid,)
    board.slices_held += min(attributes.computeInstanceSliceCount, in_all)
    board.slices_in_all = in_all
