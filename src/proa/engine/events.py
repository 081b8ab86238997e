"""What happened: told to whoever listens, and the last 256 events to whoever asks later.

Events belong to the event loop's thread. A subscription is live from the moment `subscribe` returns, so a
client that sees its answer begin misses nothing. What it has not read yet is bounded: a reader that falls
behind is cut off with an error and never holds up the engine or fills its memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from proa import times
from proa.engine import filtering
from proa.engine.filtering import Filters
from proa.errors import InvalidArgument, Unavailable
from proa.oci.reference import Reference

RING_SIZE = 256  # as Docker keeps
BACKLOG = 1024  # unread events that a subscription may have

# Filters that match an identifier's or a name's beginning. Docker looks at events of every type for each.
_OBJECT_FILTERS = (
    "container", "volume", "network", "daemon", "plugin", "node", "service", "secret", "config",
)  # fmt: skip
ACCEPTED = frozenset({"type", "event", "image", "label", "scope", *_OBJECT_FILTERS})
# Actions that carry text behind a colon ("exec_create: sh -c …"): asked for by their beginning.
_PREFIXED_ACTIONS = frozenset({"health_status", "exec_create", "exec_start"})


class Event(msgspec.Struct, kw_only=True, frozen=True):
    """One event, in Docker's words. `time` is in nanoseconds since the epoch."""

    type: str  # container, image, volume, network, daemon
    action: str
    id: str
    attributes: dict[str, str]
    time: int
    scope: str = "local"


class Events:
    """The engine's events."""

    def __init__(self, clock: Callable[[], int] = times.now) -> None:
        self._clock = clock
        self._ring: deque[Event] = deque(maxlen=RING_SIZE)
        self._subscriptions: set[Subscription] = set()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._subscriptions)

    def emit(self, type: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
        """Tell all subscriptions, and remember."""
        event = Event(type=type, action=action, id=id, attributes=dict(attributes), time=self._clock())
        self._ring.append(event)
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)

    def subscribe(
        self, since: int | None = None, until: int | None = None, filters: Filters | None = None
    ) -> Subscription:
        """Listen from now on, after a replay of the remembered events when a limit is given.

        `since` and `until` are nanoseconds since the epoch, both inclusive; the iteration ends at `until`.
        Raises `InvalidArgument` for an unknown filter. Close the subscription (it is a context manager).
        """
        filtering.check(filters or {}, ACCEPTED)
        now = self._clock()
        subscription = Subscription(self._subscriptions.discard, filters or {})
        if since is not None or until is not None:
            for event in self._ring:
                if (since or 0) <= event.time and (until is None or event.time <= until):
                    subscription.offer(event)
        if until is not None and until <= now:
            subscription.close()
            return subscription
        self._subscriptions.add(subscription)
        if until is not None:
            subscription.end_after((until - now) / times.SECOND)
        return subscription

    def close(self) -> None:
        """End all subscriptions after what they have not read yet."""
        for subscription in tuple(self._subscriptions):
            subscription.close()


class Subscription:
    """An asynchronous iterator of events. What is unread when it is closed can still be read."""

    def __init__(self, forget: Callable[[Subscription], None], filters: Filters) -> None:
        self._forget = forget
        self._filters = filters
        self._unread: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._overrun = False

    def offer(self, event: Event) -> None:
        """Take an event if the filters let it pass; give up on the reader when it is too far behind."""
        if self._closed or not matches(self._filters, event):
            return
        if len(self._unread) >= BACKLOG:
            self._overrun = True
            self.close()
            return
        self._unread.append(event)
        self._wake()

    def end_after(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self.close)

    def close(self) -> None:
        """Take no more events."""
        self._closed = True
        self._forget(self)
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        """Return the next event. Raises `Unavailable` when this reader was too slow to get them all."""
        while not self._unread:
            if self._overrun:
                self._overrun = False
                raise Unavailable(f"more than {BACKLOG} events were not read in time, so the stream ends")
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._unread.popleft()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def matches(filters: Filters, event: Event) -> bool:
    """Whether an event passes all filters, by Docker's rules (daemon/events)."""
    if not filters:
        return True
    name = event.attributes.get("name", "")
    actions = filters.get("event", ())
    by_action = filtering.prefixed if _PREFIXED_ACTIONS.intersection(actions) else filtering.exact
    return (
        by_action(filters, "event", event.action)
        and filtering.exact(filters, "type", event.type)
        and filtering.exact(filters, "scope", event.scope)
        and filtering.labelled(filters, "label", event.attributes)
        and all(
            filtering.prefixed(filters, key, event.id) or filtering.prefixed(filters, key, name)
            for key in _OBJECT_FILTERS
        )
        and _matches_image(filters, event)
    )


def _matches_image(filters: Filters, event: Event) -> bool:
    """Whether the event is of the image asked for, or of a container made from it; tags may be left out."""
    if not filters.get("image"):
        return True
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    return any(
        filtering.exact(filters, "image", text)
        for text in (event.id, name, _without_tag(event.id), _without_tag(name))
    )


def _without_tag(text: str) -> str:
    try:
        return Reference.parse(text).familiar_name
    except InvalidArgument:
        return text
