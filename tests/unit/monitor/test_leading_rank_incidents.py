"""Of a pipeline only the last rank knows the loss: its incidents open, are followed and end as any other."""

from __future__ import annotations

import random

from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.types import Incident, Sample


def test_an_incident_of_a_run_whose_last_rank_knows_the_loss_ends() -> None:
    noise, detectors, book = random.Random(1), DetectorSet(), IncidentBook("run")
    known: dict[str, Incident] = {}
    for step in range(200):
        loss = 8.0 if 100 <= step < 104 else 2.0 + noise.gauss(0, 0.02)
        for rank in range(4):
            sample = Sample(step, float(step), {"loss": loss} if rank == 3 else {"lr": 1e-3}, 0, rank)
            found = detectors.update(sample)
            for incident in book.observe(sample, found, detectors.active, detectors.rank):
                known[incident.id] = incident
    (incident,) = known.values()
    assert (incident.kind, incident.state, incident.start_step) == ("loss_spike", "resolved", 100)
    assert incident.end_step in (103, 104)
