"""POST /containers/{id}/wait: headers at once, the exit code when it is there."""

from __future__ import annotations

from typing import Any

import msgspec

from proa.api.request import JSON, Request
from proa.errors import InvalidArgument

_CONDITIONS = ("not-running", "next-exit", "removed")


async def wait(request: Request) -> None:
    condition = "not-running"
    if request.version >= (1, 30):
        condition = request.query.text("condition") or condition
    if condition not in _CONDITIONS:
        raise InvalidArgument(f'invalid condition: "{condition}"')
    waiter = request.engine.containers.wait(request.name(), condition)
    try:
        # Clients start the container when they see the headers: the waiter is registered before them.
        stream = await request.wire.begin(200, JSON)
        status = await waiter
    finally:
        waiter.cancel()
    answer: dict[str, Any] = {"StatusCode": status.code}
    if status.error:
        answer["Error"] = {"Message": status.error}
    await stream.write(msgspec.json.encode(answer) + b"\n")
    await stream.close()
