"""Whole lines of what arrives in pieces: a line without its end waits for it."""

from __future__ import annotations

from typing import Final

MOST_OF_A_LINE: Final = 1 << 20
"""Bytes. What is longer is no line of a log, and left out."""
_BOM: Final = "\ufeff"


class Lines:
    """Takes bytes, gives numbered lines. A line ends with a newline, a carriage return, or both."""

    def __init__(self) -> None:
        self.number = 0
        self._rest = b""
        self._skips = False
        self._after_return = False

    def feed(self, data: bytes) -> list[tuple[int, str]]:
        r"""Return the lines that end in these bytes, blank ones left out, each with its number from 1.

        >>> lines = Lines()
        >>> lines.feed(b"one\ntw"), lines.feed(b"o\r\n\nfour"), lines.rest()
        ([(1, 'one')], [(2, 'two')], [(4, 'four')])
        """
        if self._after_return and data.startswith(b"\n"):  # both belong to one end
            data = data[1:]
        self._after_return = data.endswith(b"\r")
        parts = (self._rest + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = parts.pop()
        if parts and self._skips:
            self._skips = False
            parts[0] = b""
        if len(self._rest) > MOST_OF_A_LINE:
            self._rest, self._skips = b"", True
        return self._numbered(parts)

    def rest(self) -> list[tuple[int, str]]:
        """Return the last line, if it has no end; it counts as ended."""
        left, self._rest = self._rest, b""
        return self._numbered([left]) if left and not self._skips else []

    def _numbered(self, parts: list[bytes]) -> list[tuple[int, str]]:
        found = []
        for part in parts:
            self.number += 1
            text = part.decode(errors="replace")
            if self.number == 1:
                text = text.removeprefix(_BOM)
            if text.strip():
                found.append((self.number, text))
        return found
