"""On a real GPU, where torch raises at whatever waits for it: values arrive, and graphs are captured.

Runs where there is one, and is skipped elsewhere; test_no_waiting.py asks the same of a pretended device.
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

import trimtab
from trimtab.capture.bundle import Bundle
from trimtab.capture.copies import Transfer
from trimtab.capture.cuda_copies import CudaCopier
from trimtab.capture.cuda_runtime import CudaRuntime
from trimtab.testing import RecordingCollector
from trimtab.vocabulary import is_measured
from trimtab.watching import Watch

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="needs a GPU and a torch built for it: torch.cuda.is_available() is False",
)

STEPS = 60
ARRIVAL_SECONDS = 30.0


@pytest.fixture(autouse=True)
def url(collector: RecordingCollector, home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_URL", collector.url)


@pytest.fixture
def device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device())


@contextmanager
def no_waiting() -> Iterator[None]:
    """Let torch raise, on any thread, at what waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@contextmanager
def watched(collector: RecordingCollector, *trained: Any, **options: Any) -> Iterator[Watch]:
    """Watch; at the end nothing was dropped, and no hook has failed."""
    with trimtab.watch(*trained, project="cuda", **options) as watch:
        yield watch
    assert collector.events("hook_error") == []


class Loop:
    """A small model on the GPU; what it does stays there, to be read when the loop is over."""

    def __init__(self, device: torch.device, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1)).to(
            device
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01, **options)
        self.inputs = torch.randn(STEPS, 8, 16).to(device)
        self.losses: list[Tensor] = []
        self.norms: list[Tensor] = []

    def loss(self, step: int) -> Tensor:
        loss: Tensor = (self.model(self.inputs[step]) - 1.0).square().mean()
        return loss

    def note(self, loss: Tensor) -> None:
        gradients = [each.grad.reshape(-1) for each in self.model.parameters() if each.grad is not None]
        self.losses.append(loss.detach().clone())
        self.norms.append(torch.cat(gradients).norm())

    def step(self, step: int) -> Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        self.note(loss)
        self.optimizer.step()
        return loss

    def compare(self, collector: RecordingCollector) -> None:
        losses = torch.stack(self.losses).tolist()
        norms = torch.stack(self.norms).tolist()
        assert collector.rows() == list(range(1, len(losses) + 1))
        assert collector.column("loss") == losses
        assert collector.column("grad_norm") == pytest.approx(norms, rel=1e-4)
        assert collector.events("samples_dropped") == []


def warm_up(device: torch.device) -> None:
    """Let CUDA and its libraries make what they make once, some of which waits."""
    loop = Loop(device)
    for step in range(3):
        loop.step(step)
    torch.cuda.synchronize()


def test_a_run_waits_for_nothing_and_all_of_it_arrives(
    collector: RecordingCollector, device: torch.device
) -> None:
    warm_up(device)
    loop = Loop(device)
    with watched(collector, loop.model, loop.optimizer) as watch, no_waiting():
        for step in range(STEPS):
            watch.step(loss=loop.step(step))
    loop.compare(collector)


def test_a_run_with_the_norm_of_its_own_clip_waits_for_nothing(
    collector: RecordingCollector, device: torch.device
) -> None:
    warm_up(device)
    loop = Loop(device)
    with watched(collector, loop.model, loop.optimizer) as watch, no_waiting():
        for step in range(STEPS):
            loop.optimizer.zero_grad()
            loss = loop.loss(step)
            loss.backward()  # type: ignore[no-untyped-call]
            loop.note(loss)
            norm = torch.nn.utils.clip_grad_norm_(loop.model.parameters(), 0.01)
            loop.optimizer.step()
            watch.step(loss=loss, grad_norm=norm)
    loop.compare(collector)


def test_a_value_that_is_overwritten_in_place_is_what_it_was(
    collector: RecordingCollector, device: torch.device
) -> None:
    counter = torch.zeros((), device=device)
    with watched(collector) as watch, no_waiting():
        for _ in range(STEPS):
            counter.add_(1.0)
            watch.step(loss=counter)
    assert collector.column("loss") == [float(step) for step in range(1, STEPS + 1)]


def test_layers_and_masks_wait_for_nothing(collector: RecordingCollector, device: torch.device) -> None:
    warm_up(device)
    loop = Loop(device, fused=True)
    signals = trimtab.Signals(layer_norms_every=1)
    options = {"signals": signals, "mask_non_finite": True}
    with watched(collector, loop.model, loop.optimizer, **options) as watch:
        watch.step(loss=loop.step(0))
        torch.cuda.synchronize()
        with no_waiting():
            for step in range(1, STEPS):
                watch.step(loss=loop.step(step))
    loop.compare(collector)
    layers = [collector.column(f"grad_norm/{name}") for name in ("0", "2")]
    for whole, *parts in zip(collector.column("grad_norm"), *layers, strict=True):
        assert math.hypot(*parts) == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_values_of_every_dtype_arrive(
    collector: RecordingCollector, device: torch.device, dtype: torch.dtype
) -> None:
    value = torch.ones((1, 1), device=device).to(dtype)
    with watched(collector) as watch, no_waiting():
        for _ in range(STEPS):
            watch.step(loss=value, grad_norm=value.float()[0, 0])
    assert set(collector.column("loss")) == set(collector.column("grad_norm")) == {1.0}


def test_a_scaler_waits_for_nothing_of_ours(collector: RecordingCollector, device: torch.device) -> None:
    loop = Loop(device)
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0, growth_interval=1000)
    scales: list[float] = []
    with watched(collector, loop.model, loop.optimizer, scaler=scaler) as watch:
        for step in range(STEPS):
            loop.optimizer.zero_grad()
            with torch.autocast("cuda", torch.float16):
                loss = loop.loss(step)
            scaler.scale(loss * math.inf if step == 20 else loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(loop.optimizer)  # the scaler's own wait
            scaler.update()
            scales.append(scaler.get_scale())
            with no_waiting():
                watch.step(loss=loss)
            loop.losses.append(loss.detach().clone())
    assert collector.column("loss") == torch.stack(loop.losses).tolist()
    assert collector.column("loss_scale") == scales
    assert [is_measured(norm) for norm in collector.column("grad_norm")].count(False) == 1


def test_steps_on_a_stream_of_their_own_arrive(collector: RecordingCollector, device: torch.device) -> None:
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    loop = Loop(device)
    with watched(collector, loop.model, loop.optimizer) as watch:
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for step in range(STEPS):
                watch.step(loss=loop.step(step))
        stream.synchronize()
    loop.compare(collector)


def test_the_last_step_of_a_job_that_stands_still_is_seen(
    collector: RecordingCollector, device: torch.device
) -> None:
    loop = Loop(device)
    with watched(collector, loop.model, loop.optimizer) as watch:
        for step in range(5):
            watch.step(loss=loop.step(step))
        collector.wait_until(lambda seen: seen.rows() == [1, 2, 3, 4, 5], ARRIVAL_SECONDS)
    loop.compare(collector)


class Graphed:
    """A whole training step as one CUDA graph, captured as torch's manual says; `within` is called inside."""

    def __init__(self, loop: Loop, device: torch.device, within: Callable[[Tensor], object]) -> None:
        self.loop = loop
        self.inputs = torch.zeros(8, 16, device=device)
        self._warm_up(device)
        self.graph = torch.cuda.CUDAGraph()
        loop.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.loss = self._step()
            within(self.loss)

    def _step(self) -> Tensor:
        loss: Tensor = (self.loop.model(self.inputs) - 1.0).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self.loop.optimizer.step()
        return loss

    def _warm_up(self, device: torch.device) -> None:
        side: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(3):
                self.loop.optimizer.zero_grad(set_to_none=True)
                self._step()
        torch.cuda.current_stream(device).wait_stream(side)

    def replay(self, step: int) -> Tensor:
        self.inputs.copy_(self.loop.inputs[step])
        self.graph.replay()
        return self.loss


@pytest.mark.parametrize("told_within", [False, True])
def test_a_graph_is_captured_between_steps_and_its_replays_are_recorded(
    collector: RecordingCollector,
    device: torch.device,
    told_within: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    eager = Loop(device)
    losses: list[Tensor] = []
    with watched(collector, eager.model, eager.optimizer) as watch:
        for step in range(10):  # so that copies are under way while the graph is captured
            watch.step(loss=eager.step(step))
            losses.append(eager.losses[-1])

        def within(loss: Tensor) -> None:
            if told_within:
                watch.step(loss=loss, lr=0.01)
                losses.append(torch.empty(0))

        graphed = Graphed(Loop(device, capturable=True), device, within)
        for step in range(STEPS):
            loss = graphed.replay(step)
            losses.append(loss.detach().clone())
            watch.step(loss=loss)
    assert collector.rows() == list(range(1, len(losses) + 1))
    for arrived, expected in zip(collector.column("loss"), losses, strict=True):
        assert arrived == expected.item() if expected.numel() else not is_measured(arrived)
    assert losses[-1].item() < losses[-STEPS].item()
    dropped = sum(event["count"] for event in collector.events("samples_dropped"))
    assert dropped == (1 if told_within else 0)
    assert sum("CUDA graph was captured" in each.getMessage() for each in caplog.records) == told_within


def test_a_graph_with_the_step_of_a_watched_optimizer_is_captured(
    collector: RecordingCollector, device: torch.device
) -> None:
    loop = Loop(device, capturable=True)
    losses: list[Tensor] = []
    with watched(collector, loop.model, loop.optimizer) as watch:
        graphed = Graphed(loop, device, lambda _: None)
        for step in range(STEPS):
            loss = graphed.replay(step)
            losses.append(loss.detach().clone())
            watch.step(loss=loss)
    assert collector.rows() == list(range(1, STEPS + 1))
    assert collector.column("loss") == torch.stack(losses).tolist()
    assert collector.events("samples_dropped") == []


def test_what_the_drainer_does_spoils_no_capture(device: torch.device) -> None:
    """Copies begin and are looked at by another thread all through a capture in torch's default mode."""
    copier = CudaCopier(CudaRuntime(device))
    under_way: list[Transfer] = []
    for step in range(400):
        taken = copier.take({"loss": torch.full((), float(step), device=device)}, ())
        assert taken is not None
        under_way += taken
    read: list[float] = []

    def drain() -> None:
        for transfer in under_way:
            assert transfer.begin(), "there are more slots than copies at a time"
            _wait_for(transfer.done)
            read.append(transfer.values()["loss"])

    square = torch.zeros(256, 256, device=device)
    torch.mm(square, square)  # makes the library's workspace
    graph = torch.cuda.CUDAGraph()
    drainer = threading.Thread(target=drain)
    with torch.cuda.graph(graph):
        drainer.start()
        while len(read) < len(under_way) // 2 and drainer.is_alive():
            square.add_(1.0)
            torch.mm(square, square)
    drainer.join(ARRIVAL_SECONDS)
    assert read == [float(step) for step in range(len(under_way))]
    graph.replay()
    assert square[0, 0].item() >= 1.0


def test_bundles_and_scalars_of_a_row_arrive_together(device: torch.device) -> None:
    copier = CudaCopier(CudaRuntime(device))
    names = tuple(f"layer/{index}" for index in range(1000))
    with no_waiting():
        for step in range(STEPS):
            tensor = torch.arange(1000.0, device=device) + step
            transfers = copier.take({"loss": tensor[0] * 2.0}, [Bundle(names, tensor)])
            assert transfers is not None
            for transfer in transfers:
                assert transfer.begin()
            _wait_for(lambda transfers=transfers: all(each.done() for each in transfers))  # type: ignore[misc]
            assert transfers[0].values() == {"loss": 2.0 * step}
            assert transfers[1].values()["layer/999"] == 999.0 + step


def test_values_of_several_devices_arrive(collector: RecordingCollector) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    first, second = torch.device("cuda:0"), torch.device("cuda:1")
    with watched(collector) as watch:
        for step in range(STEPS):
            here, there = (torch.full((), float(step), device=each) for each in (first, second))
            watch.step(loss=here, grad_norm=there)
    steps = [float(step) for step in range(STEPS)]
    assert collector.column("loss") == collector.column("grad_norm") == steps


ON_THE_LAST_DEVICE = """
import threading, torch
from trimtab.capture.cuda_copies import CudaCopier
from trimtab.capture.cuda_runtime import CudaRuntime
last = torch.device("cuda", torch.cuda.device_count() - 1)
torch.cuda.set_device(last)
(transfer,) = CudaCopier(CudaRuntime(last)).take({"loss": torch.ones((), device=last)}, ())
drainer = threading.Thread(target=transfer.begin)
drainer.start()
drainer.join()
torch.cuda.synchronize()
assert transfer.done()
assert not torch._C._cuda_hasPrimaryContext(0), "there is a context on the first device"
"""


def test_no_context_is_made_on_a_device_that_is_not_in_use() -> None:
    """In a job of several ranks each would take memory of the first GPU otherwise."""
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    subprocess.run([sys.executable, "-c", ON_THE_LAST_DEVICE], check=True, timeout=120)


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it has not arrived"
