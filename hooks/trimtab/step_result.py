"""What `Watch.step()` answers."""

from __future__ import annotations

import msgspec


class StepResult(msgspec.Struct, frozen=True, gc=False):
    """What happened at a step boundary.

    `step` is the number of good steps done: after a rollback, the step that the job is back at.
    `rolled_back`: model and optimizer are those of `step` again, so take the next batch and go on. `stop`:
    the owner's collector asks the job to end; leave the loop.
    """

    step: int
    rolled_back: bool = False
    stop: bool = False
