"""Hours of accelerators: held, and lost."""

from __future__ import annotations

import pytest

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import T0, device, ledger_of
from trimtab_monitor.pricing.gpu_hours import gpu_hours, lost_gpu_hours


def ledger(devices: int, held: float | None) -> EnergyLedger:
    """An hour on these devices, of each of them this part; a quarter of it was lost."""
    times = range(0, 3_601, 10)
    shares = {} if held is None else {"held_share": [held] * len(times)}
    made = ledger_of(
        *(
            device(times, counter=[5_000_000 * i for i in range(len(times))], uuid=f"GPU-{index}", **shares)
            for index in range(devices)
        )
    )
    made.lose("rollback", T0 + 900, T0 + 1_800, steps=10)
    return made


@pytest.mark.parametrize(("held", "part"), [(None, 1.0), (0.5, 0.5)])
def test_of_shared_devices_the_part_counts_of_what_was_lost_too(held: float | None, part: float) -> None:
    made = ledger(4, held)
    assert gpu_hours(made) == pytest.approx(4 * part)
    assert lost_gpu_hours(made) == pytest.approx(part)


def test_where_no_accelerator_was_seen_nothing_is_known() -> None:
    assert gpu_hours(EnergyLedger()) is lost_gpu_hours(EnergyLedger()) is None
