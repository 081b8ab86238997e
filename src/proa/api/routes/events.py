"""GET /events: what happens, as it happens. Headers at once: clients count on being subscribed then."""

from __future__ import annotations

from typing import Any

import msgspec

from proa import times
from proa.api.request import JSON, Request
from proa.api.versions import Version
from proa.engine.events import Event
from proa.errors import InvalidArgument


async def events(request: Request) -> None:
    query = request.query
    since, until = _moment(query.text("since")), _moment(query.text("until"))
    if since is not None and until is not None and until < since:
        raise InvalidArgument(
            f"`since` time ({query.text('since')}) cannot be after `until` time ({query.text('until')})"
        )
    subscription = request.engine.events.subscribe(since, until, query.filters())
    try:
        stream = await request.wire.begin(200, JSON)
        async for event in subscription:
            if event.type == "image" and event.action == "create" and request.version < (1, 46):
                continue
            await stream.write(msgspec.json.encode(document(event, request.version)) + b"\n")
        await stream.close()
    finally:
        subscription.close()


def document(event: Event, version: Version) -> dict[str, Any]:
    """Return one event; old clients read `status`, `id` and `from`, which containers and images have."""
    answer: dict[str, Any] = {}
    if event.type in ("container", "image"):
        answer = {"status": event.action, **({"id": event.id} if event.id else {})}
        if event.attributes.get("image"):
            answer["from"] = event.attributes["image"]
    return answer | {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": event.attributes},
        "scope": event.scope,
        "time": event.time // times.SECOND,
        "timeNano": event.time,
    }


def _moment(text: str) -> int | None:
    return times.parse_unix(text) if text else None
