"""The way of bytes from a thread to a client: whoever leaves, at whatever moment, ends it without a word."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable

import pytest

from proa.engine.outflow import Outflow, Stopped
from proa.engine.own_thread import in_own_thread


def endless(flow: Outflow) -> None:
    while True:
        flow.put(bytes(1000))


async def test_pieces_come_until_the_work_is_done() -> None:
    flow = Outflow()
    work = in_own_thread(lambda: [flow.put(b"%d" % number) for number in range(20)] and None)
    assert [piece async for piece in flow.pieces(work)] == [b"%d" % number for number in range(20)]
    await flow.end(work)


async def test_who_leaves_ends_the_thread() -> None:
    flow = Outflow()
    work = in_own_thread(lambda: endless(flow))
    assert await anext(flow.pieces(work)) == bytes(1000)
    await flow.end(work)
    assert isinstance(work.exception(), Stopped)


async def test_a_failure_is_told() -> None:
    flow = Outflow()

    def fail() -> None:
        raise OSError("no disk")

    work = in_own_thread(fail)
    with pytest.raises(OSError, match="no disk"):
        await flow.end(work)


@pytest.mark.parametrize(
    ("error", "told"), [(Stopped, False), (lambda: OSError("no disk"), True)], ids=["stopped", "failed"]
)
async def test_who_is_cancelled_while_it_ends_leaves_no_future_behind(
    caplog: pytest.LogCaptureFixture, error: Callable[[], Exception], told: bool
) -> None:
    flow, work = Outflow(), asyncio.get_running_loop().create_future()
    ending = asyncio.ensure_future(flow.end(work))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    with caplog.at_level(logging.ERROR):
        work.set_exception(error())
        await asyncio.sleep(0)
        del work, ending
        gc.collect()
    assert "never retrieved" not in caplog.text
    assert ("no disk" in caplog.text) == told
