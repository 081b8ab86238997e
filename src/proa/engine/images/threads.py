"""Work in threads whose end is always waited for: what they do to the disk must not go on behind us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run `work` to its end, even when the caller is cancelled meanwhile."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    await settled(future)
    return future.result()


async def settled(future: asyncio.Future[Result]) -> None:
    """Wait until a thread's work has ended, then let a cancellation that came meanwhile go on."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if not future.cancelled():
        future.exception()  # seen: the caller has it, or an error of its own
    if cancelled is not None:
        raise cancelled
