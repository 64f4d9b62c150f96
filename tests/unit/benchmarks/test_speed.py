"""What a run's detectors keep is bounded, whatever its length. Times are measured, not asserted."""

from __future__ import annotations

from detection_bench import speed

LIMIT_BYTES = 200_000


def test_state_and_memory_stay_small() -> None:
    measured = speed.measure(3000)

    assert measured["samples"] == 3000
    assert 0 < measured["state_bytes"] < LIMIT_BYTES
    assert 0 < measured["memory_bytes"] < LIMIT_BYTES


def test_deep_size_counts_what_is_held_and_each_object_once() -> None:
    shared = [1.5] * 100

    assert speed.deep_size([shared, shared]) < speed.deep_size([shared, list(shared)])
    assert speed.deep_size({"a": shared}) > speed.deep_size(shared)
