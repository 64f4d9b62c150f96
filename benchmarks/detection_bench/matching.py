"""The matching rule: which alarms find which labelled event, and which are false.

All in rows of the curve, not steps, since logs are sparse.

- An event must be found if it is major and certain: its comment says neither `en-bloc` nor `uncertain`. Every
  other labelled event is don't-care: alarms in it are neither hits nor false.
- An event is found by the first alarm whose row lies in [start - 2, end + 5]. Without a labelled end, a
  divergence, a level shift or a NaN lasts to the end of the curve, and a spike to its peak. One alarm may
  find several events that overlap.
- Delay: the alarm's row less the event's start; 0 for an alarm in the two rows before.
- An alarm in the window of no labelled event is false. False alarms of which each is within 20 rows of the
  one before count once.
- Precision: events found / (events found + false alarms on all curves). Recall: events found / events that
  must be found. False alarms per 1,000 samples: only of curves that were not picked for looking abnormal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from detection_bench.curves import Curve, Event
from detection_bench.verdict import Alarm, Verdict

EARLY_ROWS: Final = 2
LATE_ROWS: Final = 5
SAME_ALARM_ROWS: Final = 20


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one labelled event. `alarm` is the first in its window; `marked`: an alarm or a mark."""

    event: Event
    alarm: Alarm | None
    marked: bool

    @property
    def delay(self) -> int | None:
        """Samples from the onset to the row to which the alarm is dated."""
        return None if self.alarm is None else max(0, self.alarm.row - self.event.start)

    @property
    def told_delay(self) -> int | None:
        """Samples from the onset until a person would have been told."""
        return None if self.alarm is None else max(0, self.alarm.told_row - self.event.start)


@dataclass(frozen=True)
class Outcome:
    """How a detector did on one curve. `clean_rows` is 0 where false alarms count for no rate."""

    curve: str
    source: str
    clean_rows: int
    found: Sequence[Found]
    false_alarms: Sequence[Alarm]


def match(curve: Curve, verdict: Verdict) -> Outcome:
    """Hold what a detector said of a curve against its labels."""
    alarms = sorted(verdict.alarms, key=lambda alarm: alarm.row)
    outside = [alarm for alarm in alarms if not any(_in_window(alarm.row, event) for event in curve.events)]
    return Outcome(
        curve=curve.name,
        source=curve.source,
        clean_rows=0 if curve.targeted else curve.rows,
        found=[_look_for(event, alarms, verdict.marks) for event in curve.events],
        false_alarms=_grouped(outside),
    )


def _in_window(row: int, event: Event) -> bool:
    return event.start - EARLY_ROWS <= row <= event.end + LATE_ROWS


def _look_for(event: Event, alarms: Sequence[Alarm], marks: Sequence[int]) -> Found:
    first = next((alarm for alarm in alarms if _in_window(alarm.row, event)), None)
    marked = first is not None or any(_in_window(row, event) for row in marks)
    return Found(event, first, marked)


def _grouped(alarms: Sequence[Alarm]) -> list[Alarm]:
    """The first alarm of each group."""
    firsts = []
    last: int | None = None
    for alarm in alarms:
        if last is None or alarm.row - last > SAME_ALARM_ROWS:
            firsts.append(alarm)
        last = alarm.row
    return firsts
