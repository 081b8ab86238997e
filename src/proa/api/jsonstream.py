"""Streams of JSON messages: progress of pulls and imports, in the form that docker's clients draw.

An error before the first message is an ordinary error response; after it, it is the last message, since the
status is already out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from proa.api.errors import describe
from proa.api.request import JSON, Stream, Wire

Message = dict[str, Any]
Emit = Callable[[Message], None]

_BAR = 50  # characters
_BACKLOG = 256  # messages that may wait for a slow client before progress is thinned out


async def run(wire: Wire, work: Callable[[Emit], Coroutine[Any, Any, None]], *, begun: bool = False) -> None:
    """Run `work` and send what it emits; it is cancelled when the client goes.

    `begun`: the response begins before any message, so that every error is told in it.
    """
    messages = _Messages()
    task = asyncio.ensure_future(work(messages.add))
    task.add_done_callback(lambda _: messages.wake())
    try:
        await _send(wire, messages, task, begun)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen, also where the client left before it could be told


async def _send(wire: Wire, messages: _Messages, task: asyncio.Future[None], begun: bool) -> None:
    stream: Stream | None = None
    while True:
        await messages.wait()
        done = task.done()  # asked before the messages are taken: none can come after
        data = messages.take()
        if done and (error := task.exception()) is not None:
            if stream is None and not data and not begun:
                raise error
            status, text = describe(error)
            data += encode({"errorDetail": {"code": status, "message": text}, "error": text})
        if stream is None and (data or done):
            stream = await wire.begin(200, JSON)
        if stream is not None:
            await stream.write(data)
            if done:
                await stream.close()
                return


class _Messages:
    """What waits to be sent. When too much waits, only the newest progress of each object is kept."""

    def __init__(self) -> None:
        self._waiting: list[Message] = []
        self._event = asyncio.Event()

    def add(self, message: Message) -> None:
        if len(self._waiting) >= _BACKLOG and message.get("progressDetail"):
            key = (message.get("id"), message.get("status"))
            self._waiting = [each for each in self._waiting if (each.get("id"), each.get("status")) != key]
        self._waiting.append(message)
        self._event.set()

    def wake(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()

    def take(self) -> bytes:
        waiting, self._waiting = self._waiting, []
        return b"".join(encode(message) for message in waiting)


def encode(message: Message) -> bytes:
    """Return one message with the line end that dockerd sends."""
    return msgspec.json.encode(message) + b"\r\n"


def progress(identifier: str, status: str, current: int | None, total: int | None) -> Message:
    """Return a progress message; layers always have a `progressDetail`, and a bar when there are numbers."""
    message: Message = {"status": status}
    if current is not None:
        message["progressDetail"] = {"current": current, **({"total": total} if total else {})}
        message["progress"] = bar(current, total or 0)
    elif identifier and not status.startswith(("Pulling from", "Pulling repository")):
        message["progressDetail"] = {}
    if identifier:
        message["id"] = identifier
    return message


def bar(current: int, total: int) -> str:
    """Return "[====>      ]  1.2MB/3MB" as docker's clients draw it."""
    if total <= 0:
        return f"{human_size(current):>8}"
    if current > total:
        return f"{human_size(current):>8}"
    filled = min(int(current / total * 100) // 2, _BAR)
    return f"[{'=' * filled}>{' ' * (_BAR - filled)}] {human_size(current):>8}/{human_size(total)}"


def human_size(size: float) -> str:
    """Return a size in decimal units with four digits, as go-units has it: "1.234MB"."""
    units = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
    index = 0
    while size >= 1000 and index < len(units) - 1:
        size /= 1000
        index += 1
    return f"{size:.4g}{units[index]}"
