"""Events: replay, live subscription, filters, slow readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

import pytest

from proa.engine import events as module
from proa.engine.events import Event, Events
from proa.errors import InvalidArgument, Unavailable


class Clock:
    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture
def events() -> Events:
    return Events(Clock())


async def actions(stream: AsyncIterable[Event]) -> list[str]:
    return [event.action async for event in stream]


def emit(events: Events, *names: str) -> None:
    for name in names:
        events.emit("container", name, "id", {})


async def test_only_what_comes_later_without_a_limit(events: Events) -> None:
    emit(events, "before")
    with events.subscribe() as stream:
        emit(events, "one", "two")
    emit(events, "after")
    assert await actions(stream) == ["one", "two"]


async def test_a_waiting_reader_is_woken(events: Events) -> None:
    stream = events.subscribe()
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    emit(events, "now")
    event = await reading
    assert (event.type, event.action, event.id, event.scope) == ("container", "now", "id", "local")
    reading = asyncio.create_task(anext(stream, None))
    await asyncio.sleep(0)
    events.close()
    assert await reading is None


async def test_a_cancelled_reader_loses_nothing(events: Events) -> None:
    stream = events.subscribe()
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    emit(events, "later")
    assert (await anext(stream)).action == "later"
    stream.close()


async def test_replay_between_limits(events: Events) -> None:
    emit(events, "a", "b", "c", "d")  # at 1001 to 1004
    assert await actions(events.subscribe(since=1002, until=1003)) == ["b", "c"]
    assert await actions(events.subscribe(until=1002)) == ["a", "b"]
    with events.subscribe(since=1004) as stream:
        emit(events, "e")
    assert await actions(stream) == ["d", "e"]


async def test_the_ring_keeps_the_last_256(events: Events) -> None:
    emit(events, *(str(number) for number in range(300)))
    replayed = await actions(events.subscribe(until=1300))
    assert replayed == [str(number) for number in range(44, 300)]


async def test_it_ends_at_until() -> None:
    events = Events()
    emit(events, "before")
    loop = asyncio.get_running_loop()
    started = loop.time()
    stream = events.subscribe(until=module.times.now() + 50_000_000)
    emit(events, "within")
    assert await actions(stream) == ["before", "within"]
    assert 0.04 < loop.time() - started < 5
    emit(events, "after")
    assert await actions(stream) == []


async def test_a_slow_reader_is_cut_off_and_told(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKLOG", 3)
    slow, quick = events.subscribe(), events.subscribe()
    received = []
    for number in range(5):
        emit(events, str(number))
        received.append((await anext(quick)).action)
    assert received == ["0", "1", "2", "3", "4"]
    assert [(await anext(slow)).action for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(Unavailable, match="not read in time"):
        await anext(slow)
    assert await actions(slow) == []
    assert quick in events._subscriptions
    assert slow not in events._subscriptions
    quick.close()


def test_unknown_filters_are_refused(events: Events) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'colour'"):
        events.subscribe(filters={"colour": ["red"]})


CONTAINER = Event(
    type="container", action="exec_create: sh -c true", id="0123456789ab", time=1,
    attributes={"name": "web", "image": "nginx:1.27", "tier": "front", "stage": "test"},
)  # fmt: skip
IMAGE = Event(type="image", action="tag", id="sha256:abcd", time=1, attributes={"name": "nginx:latest"})
VOLUME = Event(type="volume", action="create", id="data", time=1, attributes={"driver": "local"})


@pytest.mark.parametrize(
    ("event", "filters", "passes"),
    [
        (CONTAINER, {}, True),
        (CONTAINER, {"type": ["container"]}, True),
        (CONTAINER, {"type": ["image", "volume"]}, False),
        (CONTAINER, {"type": []}, True),
        (CONTAINER, {"event": ["exec_create"]}, True),
        (CONTAINER, {"event": ["exec_create: sh -c true"]}, True),
        (CONTAINER, {"event": ["exec_start"]}, False),
        (CONTAINER, {"event": ["exec"]}, False),
        (CONTAINER, {"event": ["start", "exec_create"]}, True),
        (CONTAINER, {"container": ["0123"]}, True),
        (CONTAINER, {"container": ["web"]}, True),
        (CONTAINER, {"container": ["eb"]}, False),
        (CONTAINER, {"container": ["web"], "type": ["image"]}, False),
        (CONTAINER, {"image": ["nginx"]}, True),
        (CONTAINER, {"image": ["nginx:1.27"]}, True),
        (CONTAINER, {"image": ["nginx:latest"]}, False),
        (CONTAINER, {"label": ["tier"]}, True),
        (CONTAINER, {"label": ["tier=front", "stage=test"]}, True),
        (CONTAINER, {"label": ["tier=front", "stage=live"]}, False),
        (CONTAINER, {"scope": ["local"]}, True),
        (CONTAINER, {"scope": ["swarm"]}, False),
        (CONTAINER, {"volume": ["data"]}, False),
        (IMAGE, {"image": ["nginx"]}, True),
        (IMAGE, {"image": ["sha256:abcd"]}, True),
        (IMAGE, {"image": ["ngin"]}, False),
        (VOLUME, {"volume": ["da"]}, True),
        (VOLUME, {"volume": ["other"]}, False),
        (VOLUME, {"event": ["create", "destroy"]}, True),
        (VOLUME, {"event": ["creat"]}, False),
    ],
)
def test_filters(event: Event, filters: dict[str, list[str]], passes: bool) -> None:
    assert module.matches(filters, event) is passes
