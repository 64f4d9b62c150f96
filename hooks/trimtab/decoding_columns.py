"""Columns of a batch as MessagePack and as JSON have them, and the checks that every field goes through."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any, Final, cast

from trimtab.encoding import native
from trimtab.vocabulary import INT64_MAX, INT64_MIN, NO_COUNTER, NOT_MEASURED, WireError


class Packed:
    """Columns as MessagePack has them: little-endian bytes."""

    def ints(self, raw: object, name: str) -> array[int]:
        """Whole numbers, none missing."""
        return cast("array[int]", self._column(raw, name, "q"))

    counters = ints

    def floats(self, raw: object, name: str, rows: int | None = None) -> array[float]:
        """Numbers; null is NOT_MEASURED."""
        data = self._bytes(raw, name)
        if rows and len(data) == 4 * rows:
            return array("d", _from_bytes("f", data))
        return cast("array[float]", self._column(raw, name, "d"))

    def _column(self, raw: object, name: str, typecode: str) -> array[Any]:
        data = self._bytes(raw, name)
        if len(data) % 8:
            raise WireError(name, f"{len(data)} bytes", "send 8 bytes a row, little-endian")
        return _from_bytes(typecode, data)

    def _bytes(self, raw: object, name: str) -> bytes:
        if not isinstance(raw, bytes):
            raise WireError(name, raw, "send the column as bytes (MessagePack bin), little-endian")
        return raw


def _from_bytes(typecode: str, data: bytes) -> array[Any]:
    column: array[Any] = array(typecode)
    column.frombytes(data)
    return native(column)


class Plain:
    """Columns as JSON has them: arrays of numbers, null and three words for the non-finite."""

    def ints(self, raw: object, name: str) -> array[int]:
        """Whole numbers, none missing."""
        rows = self._rows(raw, name)
        for i, value in enumerate(rows):
            check_int64(value, f"{name}[{i}]")
        return array("q", rows)

    def counters(self, raw: object, name: str) -> array[int]:
        """Whole numbers; null is NO_COUNTER."""
        rows = self._rows(raw, name)
        return self.ints([NO_COUNTER if value is None else value for value in rows], name)

    def floats(self, raw: object, name: str, rows: int | None = None) -> array[float]:
        """Numbers; null is NOT_MEASURED."""
        del rows
        return array("d", [_json_float(value, name, i) for i, value in enumerate(self._rows(raw, name))])

    def _rows(self, raw: object, name: str) -> list[Any]:
        if not isinstance(raw, list):
            raise WireError(name, raw, "send an array with one value a row")
        return raw


_JSON_WORDS: Final[dict[str, float]] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _json_float(value: object, name: str, row: int) -> float:
    if type(value) is float:
        return value
    if value is None:
        return NOT_MEASURED
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            pass
    elif isinstance(value, str) and value in _JSON_WORDS:
        return _JSON_WORDS[value]
    raise WireError(f"{name}[{row}]", value, 'send a number, null, "NaN", "Infinity" or "-Infinity"')


Columns = Packed | Plain


def named_columns(raw: object, where: str, columns: Columns, rows: int) -> dict[str, array[float]]:
    """Columns by name; none where there is no such field."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise WireError(where, raw, "send an object of name and column")
    out: dict[str, array[float]] = {}
    for name, column in raw.items():
        if not isinstance(name, str) or not name:
            raise WireError(where, name, "name every column with a non-empty string")
        values = columns.floats(column, f"{where}.{name}", rows)
        check_rows(f"{where}.{name}", len(values), rows)
        out[name] = values
    return out


def required(raw: Mapping[str, Any], name: str, where: str = "") -> Any:
    """Return a field that must be there."""
    if name not in raw:
        raise WireError(f"{where}.{name}" if where else name, None, "give this field: it is required")
    return raw[name]


def text(raw: Mapping[str, Any], name: str, where: str) -> str:
    """Return a field that must be a string."""
    value = raw.get(name)
    if not isinstance(value, str):
        raise WireError(f"{where}.{name}", value, "give a string")
    return value


def natural(value: object, name: str) -> int:
    """Return a whole number of 0 or more."""
    if check_int64(value, name) < 0:
        raise WireError(name, value, "give 0 or more")
    return cast("int", value)


def check_int64(value: object, name: str) -> int:
    """Return a whole number of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WireError(name, value, "give an integer")
    if not INT64_MIN <= value <= INT64_MAX:
        raise WireError(name, value, "give an integer of 64 bits")
    return value


def check_rows(name: str, got: int, rows: int) -> None:
    """Refuse a column of another length."""
    if got != rows:
        raise WireError(name, f"{got} rows", f"give {rows} rows, one for each row of the batch")


def check_times(name: str, column: array[float]) -> None:
    """Refuse times that are not finite."""
    for i, value in enumerate(column):
        if not math.isfinite(value):
            raise WireError(f"{name}[{i}]", value, "give Unix seconds")
