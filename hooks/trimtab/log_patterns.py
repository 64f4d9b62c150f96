"""Lines that trainers print, and the numbers in them: pure functions of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trimtab.log_numbers import NUMBER, number_of
from trimtab.usual_names import spelt

MOST_CHARACTERS: Final = 4_000
"""So much of a line is looked at: no trainer writes more, and an expression may take long over more."""

_WRAP: Final = r"(?:(?:\w+\.)*(?:tensor|array|float\d*)\(\s*)?"
VALUE: Final = rf"{_WRAP}{NUMBER}"
_NEAR: Final = ".{0,300}?"
"""What may stand between two parts of a line; without a bound a long line could take a third of a second."""
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SECONDS_OF: Final = {"_ms": 1e-3, "_s": 1.0}


@dataclass(frozen=True, slots=True)
class LogPattern:
    """One trainer's way to print a step.

    A line is one if one of `lines` is found in it. Named groups are values by their names, `step_seconds_ms`
    is in milliseconds; `epoch`, `done` and `of` together give the step. `pairs` finds further values, each a
    `name` and a `value`.
    """

    name: str
    lines: tuple[re.Pattern[str], ...]
    pairs: re.Pattern[str] | None = None

    def read(self, text: str) -> dict[str, float] | None:
        """Return the values in a line by name, None if it is no line of this kind."""
        for line in self.lines:
            found = line.search(text)
            if found is not None:
                values = dict(_of_groups(found))
                if self.pairs is not None:
                    values = dict(_of_pairs(self.pairs, text)) | values
                return values or None
        return None


def plain_text(line: str) -> str:
    """Return a line without the colours that terminals show, and no more of it than counts."""
    return _ANSI.sub("", line[:MOST_CHARACTERS])


def own_pattern(expression: str) -> LogPattern:
    r"""Return the pattern that a user wrote, such as `step (?P<step>\d+).*loss (?P<loss>\S+)`.

    Raises:
        ValueError: it is no regular expression, or has no named group with a value.
    """
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ValueError(f"pattern {expression!r}: {error}: give a regular expression") from None
    if not compiled.groupindex.keys() - {"step"}:
        raise ValueError(
            f"pattern {expression!r}: no named group holds a value: name one, such as (?P<loss>\\S+)"
        )
    return LogPattern("the pattern given", (compiled,))


def _of_groups(found: re.Match[str]) -> Iterator[tuple[str, float]]:
    values = {name: number_of(text) for name, text in found.groupdict().items() if text is not None}
    known = {name: value for name, value in values.items() if value is not None}
    if known.keys() >= {"epoch", "done", "of"}:
        known["step"] = known["epoch"] * known.pop("of") + known.pop("done")
    for name, value in known.items():
        unit = next((unit for unit in _SECONDS_OF if name == f"step_seconds{unit}"), "")
        yield name.removesuffix(unit) if unit else name, value * _SECONDS_OF.get(unit, 1.0)


def _of_pairs(pairs: re.Pattern[str], text: str) -> Iterator[tuple[str, float]]:
    for found in pairs.finditer(text):
        value = number_of(found["value"])
        if value is not None and spelt(found["name"]):
            yield spelt(found["name"]), value


def _lines(*expressions: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(expression, re.IGNORECASE) for expression in expressions)


def _named(name: str) -> str:
    return rf"(?P<{name}>{VALUE})"


def _pairs(name: str, between: str, after: str = "") -> re.Pattern[str]:
    return re.compile(rf"(?P<name>{name}){between}(?P<value>{VALUE}){after}", re.IGNORECASE)


PATTERNS: Final = (
    LogPattern(
        "Megatron-LM",
        _lines(
            rf"\biteration\s+(?P<step>\d+)\s*/\s*\d+\s*\|(?:.*?elapsed time per iteration \(ms\):"
            rf"\s*{_named('step_seconds_ms')})?",
            rf"validation loss at iteration\s+(?P<step>\d+)\b.*?loss value:\s*{_named('eval_loss')}",
        ),
        _pairs(r"(?<=\| )[A-Za-z][\w \-]*?", r"\s*:\s*", r"(?=\s*\|)"),
    ),
    LogPattern(
        "nanoGPT",
        _lines(
            rf"\biter (?P<step>\d+): loss {_named('loss')}(?:, time {_named('step_seconds_ms')}ms)?"
            rf"(?:, mfu {_named('mfu')}%)?",
            rf"\bstep (?P<step>\d+): train loss {VALUE}, val loss {_named('eval_loss')}",
        ),
    ),
    LogPattern(
        "torchtitan",
        _lines(
            rf"\bvalidate step:\s*(?P<step>\d+)\s+loss:\s*{_named('eval_loss')}",
            rf"(?<!validate )\bstep:\s*(?P<step>\d+)\s+loss:\s*{_named('loss')}",
        ),
        _pairs(r"\b(?!loss\b|step\b)[a-z_]\w*", r":\s+"),
    ),
    LogPattern(
        "transformers",
        _lines(r"\{(?=\s*['\"][\w/ .\-]+['\"]\s*:)(?=.{0,2000}loss['\"]\s*:)"),
        _pairs(r"(?<=['\"])[A-Za-z_][\w/ .\-]*(?=['\"]\s*:)", r"['\"]\s*:\s*['\"]?"),
    ),
    LogPattern(
        "Lightning's progress bar",
        _lines(rf"\bEpoch\s+(?P<epoch>\d+):{_NEAR}\b(?P<done>\d+)/(?P<of>\d+)\s*\[{_NEAR}loss\w*="),
        _pairs(r"\b(?!v_num\b)[A-Za-z_][\w/.]*", "="),
    ),
    LogPattern(
        "a step and a loss in each line",
        _lines(
            r"\b(?:global[_ ]?step|train[_ ]?step|step|iteration|iter)\b\W{0,4}"
            rf"(?P<step>\d{{1,3}}(?:,\d{{3}})+|\d+)\b{_NEAR}"
            rf"\b(?:train(?:ing)?[_ /]?)?loss\b\W{{0,3}}?\s*{_named('loss')}"
        ),
        _pairs(r"\b(?!loss\b|step\b|iter\b|iteration\b)[A-Za-z_][\w/.\-]*", r"\s*[:=]\s*"),
    ),
)
"""The lines that are known, the most telling first."""
