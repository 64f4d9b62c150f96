"""The records of a TensorBoard event file, each checked before it is believed.

TensorBoard's own loader ends without a word at a record that it cannot read, and checks sums in Python, which
takes three quarters of its time. So its messages are used, and the frames around them are taken off here:
length (u64), its checksum (u32), data, its checksum (u32), all little-endian (TensorFlow, `record_writer.h`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from google_crc32c import value as crc32c
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]

HEADER: Final = Struct("<QI")
FOOTER: Final = Struct("<I")
MASK_DELTA: Final = 0xA282EAD8


class RecordError(Exception):
    """The record at byte `offset` cannot be read, nor what comes after it."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"the record at byte {offset} {why}")
        self.offset = offset


class RecordCutOff(RecordError):  # noqa: N818 - a state of the file: its writer still writes, or was killed
    """The file ends within a record."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset, "is cut off")


def read_events(path: Path) -> Iterator[Any]:
    """Yield the events of a file, in the order in which they were written.

    Raises:
        RecordError: what was yielded was whole, and the next is not.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        for event, _ in events_from(file, 0):
            yield event


def events_from(file: BinaryIO, offset: int) -> Iterator[tuple[Any, int]]:
    """Yield the events from a place in a file on, each with the place where the next one begins.

    Raises:
        RecordError: what was yielded was whole, and the next is not.
    """
    file.seek(offset)
    while header := file.read(HEADER.size):
        data = _data(file, offset, header)
        try:
            event = Event.FromString(data)
        except DecodeError:
            raise RecordError(offset, "holds no event") from None
        offset += HEADER.size + len(data) + FOOTER.size
        yield event, offset


def _data(file: BinaryIO, offset: int, header: bytes) -> bytes:
    if len(header) < HEADER.size:
        raise RecordCutOff(offset)
    length, length_sum = HEADER.unpack(header)
    if masked(crc32c(header[:8])) != length_sum:
        raise RecordError(offset, "is damaged: its length has another checksum")
    data = file.read(length)
    footer = file.read(FOOTER.size)
    if len(footer) < FOOTER.size:
        raise RecordCutOff(offset)
    if masked(crc32c(data)) != FOOTER.unpack(footer)[0]:
        raise RecordError(offset, "is damaged: its data has another checksum")
    return data


def masked(checksum: int) -> int:
    """The checksum as it is stored, so that the sum of data that holds its own sum is no trivial one."""
    return ((checksum >> 15 | checksum << 17) + MASK_DELTA) & 0xFFFFFFFF
