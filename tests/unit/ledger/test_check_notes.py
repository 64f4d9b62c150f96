"""What the check of counters found, told for many devices as for one."""

from __future__ import annotations

from trimtab_monitor.ledger.check_notes import check_notes
from trimtab_monitor.ledger.testing import device, ledger_of

OLD = 10**9
SECONDS = 121


def notes_of(*rates: float) -> list[str]:
    """Devices at 700 W, whose counters tell so much of that."""
    made = ledger_of(
        *(
            device(
                range(SECONDS),
                counter=[OLD + round(700_000 * rate * i) for i in range(SECONDS)],
                power=[700] * SECONDS,
                power_window_s=1.0,
                power_update_s=0.1,
                uuid=f"GPU-{index}",
            )
            for index, rate in enumerate(rates)
        )
    )
    return list(check_notes(made.streams.values()))


def test_counters_that_agree_are_not_told() -> None:
    assert notes_of(1.0, 0.97, 1.05) == []


def test_one_device_is_told_by_its_name() -> None:
    now, before = notes_of(1.0, 0.8)
    told = "GPU-1: its energy counter told"
    assert now == f"{told} 0.80 times what power readings add up to, in the last minute checked"
    assert before == f"{told} less than 0.9 or more than 1.1 times the average power in 2 of 2 minutes"


def test_many_devices_are_one_sentence_with_the_span_of_their_ratios() -> None:
    now, before = notes_of(*(0.7 + 0.01 * i for i in range(10)))
    told = "10 devices (GPU-0, GPU-1, GPU-2, ...): their energy counters told"
    assert now == f"{told} 0.70 to 0.79 times what power readings add up to, in the last minute checked"
    assert before == f"{told} less than 0.9 or more than 1.1 times the average power in 2 of 2 minutes"


def test_counters_that_are_not_believed_say_what_counted() -> None:
    *_, told = notes_of(1.0, 0.2)
    assert told == (
        "GPU-1: its energy counter told less than half or more than twice the average power "
        "in 2 of 2 minutes: not believed, power counted in its stead"
    )
