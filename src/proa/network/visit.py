"""A visit to another network namespace: work that is done there by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from proa.linux.namespaces import CLONE_NEWNET, setns

Result = TypeVar("Result")


def visit(namespace: int, work: Callable[[], Result]) -> Future[Result]:
    """Do `work` in the namespace that the descriptor is of, which must stay open so long."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            setns(namespace, CLONE_NEWNET)
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="namespace visit", daemon=True).start()
    return future
