"""How much may be on its way: bytes over all runs, batches of each."""

from __future__ import annotations

import pytest

from trimtab_monitor.api.problems import Problem
from trimtab_monitor.intake.admission import Admission


def store(admission: Admission, run: str, size: int = 1) -> None:
    with admission.hold(run, size) as held:
        held.stored = True


def test_a_run_that_is_not_folded_must_wait_and_no_other() -> None:
    admission = Admission(max_inflight_bytes=100, max_backlog=2)
    store(admission, "flood")
    store(admission, "flood")
    with pytest.raises(Problem) as caught, admission.hold("flood", 1):
        pass
    assert caught.value.status_code == 429
    assert caught.value.headers == {"Retry-After": "2"}
    store(admission, "other")


def test_it_goes_on_once_it_is_folded() -> None:
    admission = Admission(max_inflight_bytes=100, max_backlog=1)
    for _ in range(5):
        store(admission, "run")
        admission.folded("run", 1)


def test_the_fold_may_be_faster_than_the_answer() -> None:
    admission = Admission(max_inflight_bytes=100, max_backlog=1)
    for _ in range(5):
        with admission.hold("run", 1) as held:
            admission.folded("run", 1)
            held.stored = True


def test_what_was_not_stored_waits_for_no_fold() -> None:
    admission = Admission(max_inflight_bytes=100, max_backlog=1)
    for _ in range(5):
        with admission.hold("run", 1):
            pass
    with pytest.raises(ZeroDivisionError), admission.hold("run", 1):
        raise ZeroDivisionError
    store(admission, "run")


def test_bytes_are_bounded_over_all_runs() -> None:
    admission = Admission(max_inflight_bytes=100, max_backlog=10)
    with admission.hold("a", 60):
        with pytest.raises(Problem), admission.hold("b", 41):
            pass
        with admission.hold("b", 40):
            pass
    with admission.hold("b", 100):
        pass


def test_a_batch_larger_than_all_that_may_wait_goes_alone() -> None:
    admission = Admission(max_inflight_bytes=100, max_backlog=10)
    with admission.hold("a", 1000), pytest.raises(Problem), admission.hold("b", 1):
        pass
