"""wandb, offline: into its transaction log, which its service process writes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

from hooks_bench.clients.client import PROJECT, Client, Log

FILE_HEADER: Final = 7
"""Bytes at the beginning of the file."""
BLOCK: Final = 32 * 1024
HEAD: Final = struct.Struct("<IHB")
"""Of a record: checksum, length, and which part of a record it is."""
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@contextmanager
def opened(url: str, width: int) -> Iterator[Log]:
    del url, width
    wandb = import_module("wandb")
    run = wandb.init(project=PROJECT, mode="offline")

    def log(step: int, values: Mapping[str, float]) -> None:
        run.log(dict(values), step=step)

    yield log
    run.finish()


def read() -> int:
    """Count the steps in the transaction log."""
    record = import_module("wandb.proto.wandb_internal_pb2").Record
    steps = set()
    for path in Path("wandb").glob("offline-run-*/*.wandb"):
        for body in records(path.read_bytes()):
            parsed = record.FromString(body)
            if parsed.WhichOneof("record_type") == "history":
                steps.add(parsed.history.step.num)
    return len(steps)


def records(log: bytes) -> Iterator[bytes]:
    """Read what is whole in a log of LevelDB's format, as wandb writes it: blocks of 32 KiB."""
    place, parts = FILE_HEADER, b""
    while place + HEAD.size <= len(log):
        left = BLOCK - place % BLOCK
        if left < HEAD.size:
            place += left  # too little for a head: the rest of the block is padding
            continue
        _, length, part = HEAD.unpack_from(log, place)
        begin = place + HEAD.size
        if part not in (FULL, FIRST, MIDDLE, LAST) or begin + length > len(log):
            return
        parts = (parts if part in (MIDDLE, LAST) else b"") + log[begin : begin + length]
        if part in (FULL, LAST):
            yield parts
        place = begin + length


WANDB: Final = Client(
    "wandb",
    "wandb",
    opened,
    read,
    share=0.5,
    environ={"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"},
)
