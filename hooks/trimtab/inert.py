"""A watch that counts steps and does nothing else: where watching is switched off, or cannot be started."""

from __future__ import annotations

from trimtab.capture.optimizer import NullCapture
from trimtab.capture.own_time import NullOwnTime
from trimtab.capture.step_values import StepValues
from trimtab.guard import Guard, Tally
from trimtab.journal import Journal
from trimtab.outbound.recorder import Recorder
from trimtab.outbound.records import MetricSets
from trimtab.outbound.ring import PAGE, Ring
from trimtab.outbound.ring_writer import RingWriter
from trimtab.rewind.boundary import Boundary, DiskCheckpoints
from trimtab.rewind.commands import CommandDesk
from trimtab.rewind.rewind import Outcome
from trimtab.rewind.snapshots import NullSnapshots
from trimtab.steady_clock import SteadyClock
from trimtab.vocabulary import NOT_MEASURED, Command
from trimtab.watching import Parts, Watch


class _Nowhere:
    """Sends nothing, and obeys nothing."""

    def close(self, seconds: float, keep_ring: bool = False) -> None:
        """There is nothing to send."""

    def abandon(self) -> None:
        """There is nothing to let go of."""

    def apply(self, command: Command, step: int) -> Outcome:
        """Refuse."""
        return Outcome(False, None, f"step {step}: {command.kind}: the run is not watched")


def inert_watch(run: str, guard: Guard, why: str) -> Watch:
    """Return a watch whose steps are not recorded; `why` is told at the first of them."""
    nowhere, drops = _Nowhere(), Tally()
    writer = RingWriter(Ring.anonymous(PAGE), lambda: None)
    recorder = Recorder(writer, MetricSets(lambda *_: None), drops, lambda: None)
    values = StepValues(NullCapture(), NOT_MEASURED, drops)
    journal = Journal(recorder, values, 0, drops, guard, lambda _: None, lambda _: None, SteadyClock())
    boundary = Boundary(CommandDesk("off", nowhere), NullSnapshots(), False, guard)
    parts = Parts(nowhere, journal, boundary, DiskCheckpoints(None), guard, NullOwnTime(), lambda: None, 0.0)
    return Watch(run, "", parts, over=why)


def unpickled(run: str) -> Watch:
    """Return what a watch is that was pickled: in another process, or from a file."""
    return inert_watch(run, Guard(), "it was pickled: call trimtab.watch() in this process")
