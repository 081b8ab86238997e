"""The channel from the event loop to a thread, and work that is shared."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from proa.engine.images.feed import Feed, Stopped
from proa.engine.images.progress import Progress, Report
from proa.engine.images.transfers import Transfers


async def test_everything_arrives_in_order_through_a_narrow_feed() -> None:
    feed = Feed(limit=100)
    chunks = [bytes([number % 256]) * (number % 150) for number in range(500)]
    reading = asyncio.create_task(asyncio.to_thread(lambda: list(feed)))
    for chunk in chunks:
        await feed.put(chunk)
    feed.end()
    assert await reading == chunks


async def test_a_full_feed_waits_for_its_reader() -> None:
    feed = Feed(limit=10)
    await feed.put(b"x" * 50)  # one chunk always fits
    waiting = asyncio.create_task(feed.put(b"y"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    first = await asyncio.to_thread(lambda: list(itertools.islice(feed, 1)))
    await waiting
    assert first == [b"x" * 50]


async def test_a_stopped_feed_wakes_both_sides() -> None:
    feed = Feed(limit=10)
    await feed.put(b"x" * 10)
    writing = asyncio.create_task(feed.put(b"y"))
    empty = Feed()
    reading = asyncio.create_task(asyncio.to_thread(lambda: list(empty)))
    await asyncio.sleep(0.05)
    feed.stop()
    empty.stop()
    with pytest.raises(Stopped):
        await writing
    with pytest.raises(Stopped):
        await reading


async def test_a_transfer_runs_once_for_all_who_join() -> None:
    transfers, runs, heard = Transfers(), [], [[], []]  # type: ignore[var-annotated]
    go = asyncio.Event()

    async def work(report: Report) -> None:
        runs.append(1)
        report(Progress(status="begun"))
        await go.wait()
        report(Progress(status="done"))

    first = transfers.join("key", work, heard[0].append)
    await asyncio.sleep(0)
    report = heard[1].append
    second = transfers.join("key", work, report)
    assert first is second
    go.set()
    await second.finished()
    assert [[step.status for step in steps] for steps in heard] == [["begun", "done"], ["begun", "done"]]
    third = transfers.join("key", work, report)
    await third.finished()
    assert len(runs) == 2


async def test_what_nobody_wants_any_more_is_cancelled_and_can_begin_anew() -> None:
    transfers, ends = Transfers(), []

    async def work(report: Report) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            ends.append(1)

    reports: list[Report] = [lambda step: None, lambda step: None]
    shared = [transfers.join("key", work, report) for report in reports]
    await asyncio.sleep(0)
    await transfers.leave(shared[0], reports[0])
    assert not shared[0].task.done()
    leaving = asyncio.create_task(transfers.leave(shared[1], reports[1]))
    await asyncio.sleep(0)
    fresh = transfers.join("key", work, reports[0])
    await leaving
    assert ends == [1]
    assert fresh is not shared[1]
    assert not fresh.task.done()
    await transfers.cancel()
    assert ends == [1, 1]


async def test_a_failure_reaches_everybody() -> None:
    transfers = Transfers()

    async def work(report: Report) -> None:
        raise ValueError("broken")

    transfer = transfers.join("key", work, lambda step: None)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            await transfer.finished()
