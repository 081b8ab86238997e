"""Endpoints made in advance: a start takes one in microseconds, and a thread replaces it when all is quiet.

    making ──▶ ready ──take──▶ in use ──release──▶ leaving ──the kernel removed the interface──▶ address free

The thread alone makes endpoints: ready ones and, when these run out or something special is wanted, those that
are waited for. An endpoint serves one container and is never used again.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from proa import wording
from proa.errors import ProaError, Unavailable
from proa.network.endpoint import Endpoint, Order, Workshop
from proa.network.failures import kernel_errors
from proa.network.leases import Leases, Pair

SIZE = 12
# Making one costs 1.5 ms of a processor and holds the kernel's network lock, which a starting container
# needs as well: a pool that is at least half full is only filled up after this many seconds of quiet.
_QUIET = 0.05
# Seconds to wait for released addresses when no other is left: a namespace is gone after some 20 ms.
_PATIENCE, _POLL = 2.0, 0.005
_RETRY = 1.0  # seconds after a failure to fill up
_LINGER = 20.0  # seconds that a pool on demand keeps thread and endpoints after the last one was taken

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class EndpointPool:
    """Endpoints that a `Workshop` makes, in the namespace of the thread that calls `start`.

    Other methods may be called from any thread. `name` and `identifier` of the network appear in errors. A pool
    `on_demand` begins with its first use, and holds nothing when nobody has used it for a while.
    """

    def __init__(
        self,
        workshop: Callable[[], Workshop],
        leases: Leases,
        *,
        name: str,
        identifier: str = "",
        size: int = SIZE,
        on_demand: bool = False,
    ) -> None:
        self.leases = leases
        self._make_workshop = workshop
        self._name, self._identifier, self._size = name, identifier, size
        self._on_demand = on_demand
        self._changed = threading.Condition()
        self._ready: list[tuple[tuple[int, int], Endpoint]] = []  # a heap: the lowest address goes first
        self._jobs: deque[tuple[Future[Any], Callable[[Workshop], Any]]] = deque()
        self._last_taken = self._retry_at = 0.0
        self._closing = False
        self._workshop: Workshop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fill the pool; addresses in use since before are to be reserved in `leases` by now."""
        with kernel_errors():
            self._workshop = self._make_workshop()
        if not self._on_demand:
            self._begin()

    def _begin(self) -> None:
        """Have the thread; the caller holds the lock, or is the only one yet."""
        if self._thread is None:
            name = f"endpoints of {self._name}"
            self._last_taken = time.monotonic()
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()

    def take(self) -> Endpoint | None:
        """Return a ready endpoint, or None when there is none right now. Never waits: microseconds."""
        with self._changed:
            if not self._ready:
                return None
            _order, endpoint = heapq.heappop(self._ready)
            self._give(endpoint)
            self._changed.notify()
            return endpoint

    def _give(self, endpoint: Endpoint) -> None:
        self.leases.hand_out(endpoint.pair, endpoint.index, endpoint.mac_address)
        self._last_taken = time.monotonic()

    def request(self, order: Order) -> Future[Endpoint]:
        """Have an endpoint prepared as ordered; the result may be a `ProaError`."""
        return self._submit(lambda workshop: self._make_to_order(workshop, order))

    def unplug(self, interface: str, device: str, namespace: int, pair: Pair) -> Future[None]:
        """Take an endpoint from a container that goes on, and release its addresses.

        It is known by the host's side of it or, without one, its name inside; the namespace stays open so long.
        """

        def work(workshop: Workshop) -> None:
            workshop.unplug(interface, device, namespace)
            self.release(pair)

        return self._submit(work)

    def release(self, pair: Pair) -> None:
        """Give addresses back; once more does nothing. They are free when their endpoint's interface is gone."""
        self.leases.release(pair)
        with self._changed:
            self._retry_at = 0.0
            self._changed.notify()

    def close(self) -> None:
        """Stop, and let go of the endpoints that nobody took; those in use stay."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        if self._workshop is not None:
            self._workshop.close()
            self._workshop = None

    @property
    def ready(self) -> int:
        """How many endpoints are ready."""
        with self._changed:
            return len(self._ready)

    def _submit(self, work: Callable[[Workshop], _Result]) -> Future[_Result]:
        future: Future[_Result] = Future()
        with self._changed:
            if self._closing or self._workshop is None:
                future.set_exception(Unavailable(f"network {self._name} is not set up"))
                return future
            self._jobs.append((future, work))
            self._begin()
            self._changed.notify()
        return future

    # What follows runs in the thread.

    def _work(self) -> None:
        workshop = self._workshop
        assert workshop is not None
        try:
            while self._work_once(workshop):
                pass
        except BaseException:
            self._abandon()
            raise

    def _work_once(self, workshop: Workshop) -> bool:
        """Wait for work and do it; False at the end."""
        with self._changed:
            self._wait()
            if self._closing or self._is_idle():
                self._abandon()  # with the lock held: what is asked for next has a thread of its own
                return False
            job = self._jobs.popleft() if self._jobs else None
        if job is None:
            self._fill(workshop)
        else:
            _do(workshop, *job)
        return True

    def _wait(self) -> None:
        while not self._closing and not self._jobs and not self._is_idle():
            delay = self._time_to_fill()
            if delay is not None and delay <= 0:
                return
            if self._on_demand:
                idle_in = self._last_taken + _LINGER - time.monotonic()
                delay = idle_in if delay is None else min(delay, idle_in)
            self._changed.wait(delay)

    def _is_idle(self) -> bool:
        return self._on_demand and not self._jobs and time.monotonic() > self._last_taken + _LINGER

    def _time_to_fill(self) -> float | None:
        """Return in how many seconds the next ready endpoint is to be made, None while there are enough."""
        if len(self._ready) >= self._size:
            return None
        due = self._retry_at
        if len(self._ready) >= self._size // 2:
            due = max(due, self._last_taken + _QUIET)
        return due - time.monotonic()

    def _fill(self, workshop: Workshop) -> None:
        self.leases.reap(workshop.exists)
        pair = self.leases.choose()
        if pair is None:
            self._retry_at = time.monotonic() + _RETRY
            return
        try:
            endpoint = self._make(workshop, pair, Order())
        except ProaError as error:
            self._retry_at = time.monotonic() + _RETRY
            _log.warning("network %s: can not make endpoints in advance: %s", self._name, error)
            return
        with self._changed:
            heapq.heappush(self._ready, (pair.order, endpoint))

    def _make_to_order(self, workshop: Workshop, order: Order) -> Endpoint:
        # One may have become ready meanwhile, and have the last address.
        simple = Order(mac=order.mac) == order
        endpoint = self.take() if simple else None
        if endpoint is None:
            endpoint = self._make(workshop, self._choose_patiently(workshop, order.addresses), order)
        if order.mac:
            self._change_mac(workshop, endpoint, order.mac, order.namespace)
        self._give(endpoint)
        return endpoint

    def _choose_patiently(self, workshop: Workshop, wish: Pair) -> Pair:
        deadline = time.monotonic() + _PATIENCE
        while True:
            self.leases.reap(workshop.exists)
            pair = self.leases.choose(wish) or self._evict(wish)
            if pair is not None:
                return pair
            if not self.leases.is_leaving(wish) or self._closing or time.monotonic() > deadline:
                if wish.main is not None:
                    raise wording.address_in_use()
                raise wording.no_free_address(self._name, self._identifier)
            time.sleep(_POLL)

    def _evict(self, wish: Pair) -> Pair | None:
        """Give up the ready endpoint that has an address wished for, or without a wish any; return a choice."""
        with self._changed:
            for entry in self._ready:
                pair = entry[1].pair
                if wish.main is None or (wish.v4 and wish.v4 == pair.v4) or (wish.v6 and wish.v6 == pair.v6):
                    self._ready.remove(entry)
                    heapq.heapify(self._ready)
                    entry[1].close()  # nobody was ever told of it: its addresses may be another's at once
                    self.leases.put_back(pair)
                    break
            else:
                return None
        return self.leases.choose(wish)

    def _make(self, workshop: Workshop, pair: Pair, order: Order) -> Endpoint:
        try:
            with kernel_errors():
                endpoint = workshop.make(pair, order)
        except BaseException:
            self.leases.put_back(pair)
            raise
        if self.leases.take_misleading(pair):
            self._change_mac(workshop, endpoint, pair.mac, order.namespace)
        return endpoint

    def _change_mac(self, workshop: Workshop, endpoint: Endpoint, mac: bytes, namespace: int) -> None:
        try:
            with kernel_errors():
                workshop.change_mac(endpoint, mac, namespace)
        except BaseException:
            if endpoint.netns_fd < 0:
                workshop.unplug(endpoint.interface, endpoint.device, namespace)
            endpoint.close()
            self.leases.hand_out(endpoint.pair, endpoint.index, endpoint.mac_address)
            self.leases.release(endpoint.pair)
            raise

    def _abandon(self) -> None:
        """Let go of everything, and of the thread."""
        with self._changed:
            self._thread = None
            for future, _work in self._jobs:
                future.set_exception(Unavailable(f"network {self._name} is shutting down"))
            self._jobs.clear()
            for _order, endpoint in self._ready:
                endpoint.close()
                self.leases.hand_out(endpoint.pair, endpoint.index, endpoint.mac_address)
                self.leases.release(endpoint.pair)
            self._ready.clear()


def _do(workshop: Workshop, future: Future[Any], work: Callable[[Workshop], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        with kernel_errors():
            result = work(workshop)
    except BaseException as error:
        future.set_exception(error)
        if not isinstance(error, ProaError):
            raise
    else:
        future.set_result(result)
