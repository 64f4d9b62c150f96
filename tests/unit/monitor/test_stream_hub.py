"""The stream's hub: who hears what, and what becomes of whoever does not keep up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from trimtab_monitor.stream import Hub, Kind, StreamEvent


def event(run: str = "run", rank: int | None = None, kind: Kind = "run", body: object = None) -> StreamEvent:
    return StreamEvent(kind, run, lambda: body, rank)


async def take(frames: AsyncIterator[bytes], count: int) -> list[bytes]:
    return [await asyncio.wait_for(anext(frames), 10) for _ in range(count)]


async def listening(hub: Hub, run: str | None = None, rank: int = 0) -> AsyncIterator[bytes]:
    """A client that is known to the hub."""
    frames = hub.listen(run, rank)
    await take(frames, 1)
    return frames


def test_an_event_is_told_as_it_is() -> None:
    async def scenario() -> list[bytes]:
        hub = Hub(capacity=10)
        frames = await listening(hub)
        hub.publish(event(kind="incident", body={"loss": float("nan"), "text": "a\nb"}))
        return await take(frames, 1)

    assert asyncio.run(scenario()) == [b'event: incident\ndata: {"loss":"NaN","text":"a\\nb"}\n\n']


def test_events_come_in_order() -> None:
    async def scenario() -> list[bytes]:
        hub = Hub(capacity=100)
        frames = await listening(hub)
        for i in range(50):
            await asyncio.to_thread(hub.publish, event(body=i))
        return await take(frames, 50)

    assert asyncio.run(scenario()) == [b"event: run\ndata: %d\n\n" % i for i in range(50)]


def test_a_client_hears_of_its_run_and_its_rank() -> None:
    async def scenario() -> list[bytes]:
        hub = Hub(capacity=10)
        frames = await listening(hub, run="mine", rank=1)
        for number, told in enumerate(
            [event("other"), event("mine", rank=0), event("mine", rank=1), event("mine")]
        ):
            hub.publish(StreamEvent(told.kind, told.run, lambda number=number: number, told.rank))  # type: ignore[misc]
        return await take(frames, 2)

    assert asyncio.run(scenario()) == [b"event: run\ndata: 2\n\n", b"event: run\ndata: 3\n\n"]


def test_nothing_is_encoded_while_nobody_listens() -> None:
    def never() -> object:
        raise AssertionError("encoded for nobody")

    Hub(capacity=1).publish(StreamEvent("run", "run", never))


def test_whoever_does_not_keep_up_is_dropped_and_the_others_are_not() -> None:
    async def scenario() -> tuple[list[bytes], list[bytes], int, int]:
        hub = Hub(capacity=3)
        slow, quick = await listening(hub), await listening(hub)
        got = []
        for i in range(5):
            hub.publish(event(body=i))
            got += await take(quick, 1)
        left = [frame async for frame in slow]
        return left, got, hub.dropped, hub.clients

    left, got, dropped, clients = asyncio.run(scenario())
    assert left == []
    assert len(got) == 5
    assert (dropped, clients) == (1, 1)


def test_closing_ends_everybody_after_what_is_queued() -> None:
    async def scenario() -> tuple[list[bytes], list[bytes], int]:
        hub = Hub(capacity=3)
        frames = await listening(hub)
        hub.publish(event(body=1))
        await asyncio.sleep(0)
        hub.close()
        rest = [frame async for frame in frames]
        later = [frame async for frame in hub.listen(None, 0)]
        return rest, later, hub.clients

    rest, later, clients = asyncio.run(scenario())
    assert rest == [b"event: run\ndata: 1\n\n"]
    assert later == [b"retry: 2000\n\n"]
    assert clients == 0


def test_a_client_that_leaves_is_forgotten() -> None:
    async def scenario() -> int:
        hub = Hub(capacity=3)
        frames = await listening(hub)
        await frames.aclose()  # type: ignore[attr-defined]
        return hub.clients

    assert asyncio.run(scenario()) == 0
