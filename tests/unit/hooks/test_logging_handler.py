"""Steps from log records: what counts as one, and what the collector gets."""

from __future__ import annotations

import logging
import logging.config
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import trimtab
from trimtab.integrations.logging import TrimtabHandler
from trimtab.testing import RecordingCollector
from trimtab.vocabulary import NOT_MEASURED, is_measured


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingCollector]:
    monkeypatch.setenv("TRIMTAB_DIR", str(tmp_path / "home"))
    with RecordingCollector().running() as running:
        yield running


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of the job's own, without handlers of others."""
    made = logging.getLogger("job.train")
    made.setLevel(logging.INFO)
    made.propagate = False
    yield made
    made.propagate = True
    for handler in list(made.handlers):
        made.removeHandler(handler)


def attach(
    logger: logging.Logger, collector: RecordingCollector, pattern: str | None = None
) -> TrimtabHandler:
    handler = TrimtabHandler(project="logged", url=collector.url, pattern=pattern)
    logger.addHandler(handler)
    return handler


def test_every_way_to_log_a_step(logger: logging.Logger, collector: RecordingCollector) -> None:
    handler = attach(logger, collector)
    for step in range(1, 61):
        loss = math.nan if step == 45 else 4.0 / step
        if step % 4 == 0:
            logger.info("step done", extra={"step": step, "loss": loss, "learning_rate": 0.5})
        elif step % 4 == 1:
            logger.info({"global_step": step, "train/loss": loss, "lr": 0.5, "note": "text is no number"})
        elif step % 4 == 2:
            logger.info("step %(step)d: loss %(loss)f", {"step": step, "loss": loss, "lr": 0.5})
        else:
            logger.info("step %d | loss: %s | lr: %.1f", step, loss, 0.5)
        logger.info("nothing to see in record %d", step, extra={"request_id": 7})
    handler.close()
    assert collector.rows() == list(range(1, 61))
    got = collector.column("loss")
    assert math.isnan(got.pop(44))
    assert got == pytest.approx([4.0 / step for step in range(1, 61) if step != 45])
    assert collector.column("lr") == [0.5] * 60
    assert [event["status"] for event in collector.events("run_end")] == ["finished"]


def test_an_evaluation_belongs_to_its_step_and_a_step_back_is_a_new_attempt(
    logger: logging.Logger, collector: RecordingCollector
) -> None:
    handler = attach(logger, collector)
    for step in (1, 2, 3):
        logger.info("", extra={"step": step, "loss": 2.5})
    logger.info("", extra={"step": 3, "eval_loss": 2.75})
    logger.info("", extra={"step": 2, "loss": 2.5})
    handler.close()
    assert collector.rows(attempt=0) == [1, 2, 3, 3]
    assert collector.rows(attempt=1) == [2]
    assert [value for value in collector.column("eval_loss") if is_measured(value)] == [2.75]


def test_its_own_words_and_rubbish_do_no_harm(logger: logging.Logger, collector: RecordingCollector) -> None:
    handler = attach(logger, collector)
    trimtabs = logging.getLogger("trimtab")
    trimtabs.addHandler(handler)
    trimtabs.warning("step 5 loss 3.0")
    trimtabs.removeHandler(handler)
    logger.info("step 1 loss 2.5")
    handler.handle(logger.makeRecord(logger.name, logging.INFO, "", 0, "loss %d", ("x",), None))
    logger.info({"step": math.nan, "loss": 2.0})
    logger.info({"step": object(), "loss": [1, 2]})
    logger.info("step 9 loss not yet")
    handler.close()
    assert collector.rows() == [1, 2]
    assert collector.column("loss") == [2.5, 2.0]


def test_a_pattern_and_a_watch_of_ones_own(logger: logging.Logger, collector: RecordingCollector) -> None:
    watch = trimtab.watch(project="logged", url=collector.url)
    handler = TrimtabHandler(watch, pattern=r"t=(?P<step>\d+) L=(?P<loss>\S+)")
    logger.addHandler(handler)
    for step in range(1, 51):
        logger.info("t=%d L=%s", step, step / 2)
    handler.close()
    assert watch.over is None
    watch.close()
    assert collector.column("loss") == [step / 2 for step in range(1, 51)]
    assert NOT_MEASURED not in collector.column("loss")


def test_wrong_arguments_are_told_at_once(collector: RecordingCollector) -> None:
    with pytest.raises(ValueError, match="pattern"):
        TrimtabHandler(project="logged", url=collector.url, pattern="(")


def test_it_needs_no_lock_where_the_base_class_insists_on_one(
    logger: logging.Logger, collector: RecordingCollector
) -> None:
    class AsInPython313(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            assert self.lock is not None
            with self.lock:
                self.emit(record)
            return True

    class Handler(TrimtabHandler, AsInPython313):
        pass

    handler = Handler(project="logged", url=collector.url)
    logger.addHandler(handler)
    logger.info("step 1 loss 2.5")
    logging.getLogger("trimtab").warning("step 2 loss 2.5")
    handler.close()
    assert collector.column("loss") == [2.5]


def test_a_handler_is_closed_by_the_next_configuration_and_its_run_ends(
    collector: RecordingCollector,
) -> None:
    handlers = {
        "steps": {
            "class": "trimtab.integrations.logging.TrimtabHandler",
            "project": "configured",
            "url": collector.url,
        }
    }
    loggers = {"job.configured": {"handlers": ["steps"], "level": "INFO", "propagate": False}}
    wanted = {"version": 1, "disable_existing_loggers": False, "handlers": handlers, "loggers": loggers}
    logging.config.dictConfig(wanted)
    logging.getLogger("job.configured").info("step 1 loss 2.5")
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    collector.wait_until(lambda got: bool(got.events("run_end")), seconds=4.0)
    assert collector.column("loss") == [2.5]
    for thread in [each for each in threading.enumerate() if each.name == "trimtab-close"]:
        thread.join()
