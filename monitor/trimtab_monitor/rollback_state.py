"""What the rollback policy remembers of a run: the checkpoints the job holds, and the remedies tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from trimtab import wire
from trimtab_monitor.kinds import breaks_the_run
from trimtab_monitor.types import Incident

Mode = Literal["off", "advise", "auto"]
MODES: Final[tuple[Mode, ...]] = ("off", "advise", "auto")
Outcome = Literal["pending", "advised", "applied", "refused", "expired"]

CHECKPOINTS_KEPT: Final = 64
REMEDIES_KEPT: Final = 256


@dataclass(slots=True)
class CheckpointRecord:
    """A finite checkpoint of the state after `step`. It is trusted unless it was saved during an incident."""

    step: int
    id: str
    time: float
    where: str
    trusted: bool


@dataclass(slots=True)
class Remedy:
    """A command that was decided on, at a sample of `step` in `attempt`, and what became of it."""

    command: str
    incident: str
    kind: str
    to_step: int | None
    lr_factor: float
    step: int
    attempt: int
    outcome: Outcome


@dataclass(slots=True)
class RollbackState:
    """All of it for one run. Serialises. Every change goes through a method; deciding changes nothing.

    `restored_step` is the step that the present attempt was restored to by a command, None where it was not.
    """

    run: str
    mode: Mode = "off"
    attempt: int = 0
    checkpoints: list[CheckpointRecord] = field(default_factory=list)
    remedies: list[Remedy] = field(default_factory=list)
    commands: int = 0
    rollbacks: int = 0
    restored_step: int | None = None
    last_bad_step: int = 0
    lead: int = 0
    unsettled: bool = False
    noted: list[str] = field(default_factory=list)

    @property
    def pending(self) -> Remedy | None:
        """The command that the job has not answered yet."""
        return next((remedy for remedy in self.remedies if remedy.outcome == "pending"), None)

    def tried(self, incident: str) -> list[Remedy]:
        """What was tried against one incident, oldest first."""
        return [remedy for remedy in self.remedies if remedy.incident == incident]

    def on_start(self, mode: str, attempt: int) -> None:
        """A process of the run began: what was in the memory of the one before is gone.

        Raises:
            ValueError: the mode is none that we know.
        """
        if mode not in MODES:
            raise ValueError(f"rollback mode {mode!r}: use one of {', '.join(MODES)}")
        self.mode = mode
        self.attempt = attempt
        self.restored_step = None
        self.checkpoints = [known for known in self.checkpoints if known.where != "memory"]
        for remedy in self.remedies:
            if remedy.outcome == "pending":
                remedy.outcome = "expired"

    def on_checkpoint(
        self, step: int, checkpoint: str, finite: bool, time: float, where: str = "memory"
    ) -> None:
        """The job saved a checkpoint after `step`. One that is not finite is never gone back to."""
        self.checkpoints = [known for known in self.checkpoints if known.step != step]
        if finite:
            trusted = not self.unsettled
            self.checkpoints.append(CheckpointRecord(step, checkpoint, time, where, trusted))
            self.checkpoints.sort(key=lambda known: known.step)
            del self.checkpoints[:-CHECKPOINTS_KEPT]

    def on_command(self, command: wire.Command, step: int) -> None:
        """This command was decided on at a sample of `step`."""
        self.commands += 1
        outcome: Outcome = "advised" if command.state == "advised" else "pending"
        incident = command.incident or ""
        self.remedies.append(
            Remedy(
                command.id,
                incident,
                command.kind,
                command.to_step,
                command.lr_factor,
                step,
                command.attempt,
                outcome,
            )
        )
        del self.remedies[:-REMEDIES_KEPT]

    def on_applied(self, command: str, outcome: str, to_step: int | None, attempt: int) -> None:
        """The job answered: it did as told and goes on in `attempt`, or it refused.

        A checkpoint whose rollback was refused is not asked for again.
        """
        remedy = next((known for known in self.remedies if known.command == command), None)
        applied = outcome == "applied"
        if remedy is not None:
            remedy.outcome = "applied" if applied else "refused"
        if applied and to_step is not None:
            self.rollbacks += 1
            self.attempt = attempt
            self.restored_step = self.last_bad_step = to_step
            self.checkpoints = [known for known in self.checkpoints if known.step <= to_step]
        elif remedy is not None and not applied:
            self.checkpoints = [known for known in self.checkpoints if known.step != remedy.to_step]

    def follow(
        self, incidents: Sequence[Incident], changed: Sequence[Incident], step: int, margin: int
    ) -> None:
        """Keep trust up to date: of what was saved in an incident, trust only what came after the bad."""
        alarming = [incident for incident in incidents if is_alarming(incident)]
        self.unsettled = bool(alarming)
        if any(incident.bad_samples for incident in alarming):
            self.last_bad_step = step
        for incident in changed:
            if incident.state == "resolved" and is_alarming(incident):
                self._settle(last_onset(incident) - margin)

    def _settle(self, last_good_step: int) -> None:
        """An incident is over: drop the checkpoints within it, trust the others again."""
        self.checkpoints = [
            known for known in self.checkpoints if not last_good_step < known.step <= self.last_bad_step
        ]
        for known in self.checkpoints:
            known.trusted = not self.unsettled


def last_onset(incident: Incident) -> int:
    """The step at which it began, the last time if it came again: between the times the run was well."""
    step: int = incident.evidence.get("again_step", incident.start_step)
    return step


def is_alarming(incident: Incident) -> bool:
    """Whether the run breaks, and it is more than a mark on the chart."""
    return breaks_the_run(incident.kind) and incident.severity != "info"


def as_evidence(command: wire.Command) -> dict[str, Any]:
    """What an incident says of a command that was decided on for it."""
    return {
        "command": command.id,
        "kind": command.kind,
        "to_step": command.to_step,
        "lr_factor": command.lr_factor,
        "state": command.state,
    }
