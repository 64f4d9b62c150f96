"""The probe of the interpreter's lock sees one that is held, and does not make one up."""

from __future__ import annotations

import threading
from time import perf_counter

import pytest

import gil


def test_a_thread_that_holds_the_lock_is_seen() -> None:
    done = threading.Event()

    def hold() -> None:
        while not done.is_set():
            sum(range(1_000_000))  # one call that lets nobody in
            done.wait(0.02)

    thread = threading.Thread(target=hold)
    thread.start()
    pauses = gil.Pauses()
    until = perf_counter() + 20.0
    while not pauses.holds and perf_counter() < until:
        pauses.spin(perf_counter() + 0.1)
    done.set()
    thread.join()
    summary = pauses.summary()
    assert summary["holds_over_1_ms"] >= 1
    assert summary["hold_max_ms"] <= summary["wait_max_ms"] + 1.0


def test_alone_no_thread_is_waited_for() -> None:
    pauses = gil.Pauses()
    pauses.spin(perf_counter() + 0.2)
    assert pauses.holds == pytest.approx([0.0] * len(pauses.holds), abs=1e-3)
