"""A thread for work that goes at a client's pace.

The threads of `asyncio.to_thread` are few and everybody's: a handful of clients that do not read would stop the
engine. What waits for a client, an archive being sent or received, has a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def in_own_thread(work: Callable[[], Result]) -> asyncio.Future[Result]:
    """Begin `work` and return its future result. Cancelling that ends no thread."""
    done: Future[Result] = Future()
    done.set_running_or_notify_cancel()  # from here on nobody cancels it

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, name="proa-client", daemon=True).start()
    return asyncio.wrap_future(done)
