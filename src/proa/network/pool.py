"""Endpoints made in advance: a start takes one in microseconds, and a thread replaces it when all is quiet.

    making ──▶ ready ──take──▶ in use ──release──▶ leaving ──the kernel removed the interface──▶ address free

The thread alone makes endpoints: ready ones and, when these run out, those that are waited for. An endpoint
serves one container and is never used again.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv4Interface

from proa import wording
from proa.errors import ProaError, Unavailable
from proa.network.addresses import mac_of
from proa.network.endpoint import Endpoint, Workshop
from proa.network.failures import kernel_errors
from proa.network.leases import Leases

SIZE = 12
# Making one costs 1.5 ms of a processor and holds the kernel's network lock, which a starting container
# needs as well: a pool that is at least half full is only filled up after this many seconds of quiet.
_QUIET = 0.05
# Seconds to wait for released addresses when no other is left: a namespace is gone after some 20 ms.
_PATIENCE, _POLL = 2.0, 0.005
_RETRY = 1.0  # seconds after a failure to fill up

_Work = Callable[[Workshop], Endpoint]
_log = logging.getLogger(__name__)


class EndpointPool:
    """Endpoints on the bridge with index `bridge`, in the namespace of the thread that calls `start`.

    Other methods may be called from any thread. `name` and `identifier` of the network appear in errors.
    """

    def __init__(
        self,
        bridge: int,
        gateway: IPv4Interface,
        mtu: int,
        *,
        name: str,
        identifier: str = "",
        size: int = SIZE,
    ) -> None:
        self.leases = Leases(gateway)
        self._bridge, self._gateway, self._mtu = bridge, gateway, mtu
        self._name, self._identifier, self._size = name, identifier, size
        self._changed = threading.Condition()
        self._ready: list[tuple[IPv4Address, Endpoint]] = []  # a heap: the lowest address goes first
        self._jobs: deque[tuple[Future[Endpoint], _Work]] = deque()
        self._last_taken = self._retry_at = 0.0
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fill the pool; addresses in use since before are to be reserved in `leases` by now."""
        with kernel_errors():
            workshop = Workshop(self._bridge, self._gateway, self._mtu)
        self._thread = threading.Thread(
            target=self._work, args=(workshop,), name=f"endpoints of {self._name}", daemon=True
        )
        self._thread.start()

    def take(self) -> Endpoint | None:
        """Return a ready endpoint, or None when there is none right now. Never waits: microseconds."""
        with self._changed:
            if not self._ready:
                return None
            address, endpoint = heapq.heappop(self._ready)
            self.leases.hand_out(address, endpoint.index, endpoint.mac_address)
            self._last_taken = time.monotonic()
            self._changed.notify()
            return endpoint

    def request(self, mac: bytes = b"") -> Future[Endpoint]:
        """Have an endpoint prepared, with the MAC address `mac` if any; the result may be a `ProaError`."""
        return self._submit(lambda workshop: self._make_to_order(workshop, mac))

    def release(self, address: IPv4Address) -> None:
        """Give an address back; once more does nothing. It is free when its endpoint's interface is gone."""
        self.leases.release(address)
        with self._changed:
            self._retry_at = 0.0
            self._changed.notify()

    def close(self) -> None:
        """Stop, and let go of the endpoints that nobody took; those in use stay."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def ready(self) -> int:
        """How many endpoints are ready."""
        with self._changed:
            return len(self._ready)

    def _submit(self, work: _Work) -> Future[Endpoint]:
        future: Future[Endpoint] = Future()
        with self._changed:
            if self._closing or self._thread is None:
                future.set_exception(Unavailable(f"network {self._name} is not set up"))
                return future
            self._jobs.append((future, work))
            self._changed.notify()
        return future

    # What follows runs in the thread.

    def _work(self, workshop: Workshop) -> None:
        try:
            while True:
                with self._changed:
                    self._wait()
                    if self._closing:
                        return
                    job = self._jobs.popleft() if self._jobs else None
                if job is None:
                    self._fill(workshop)
                else:
                    _do(workshop, *job)
        finally:
            self._abandon()
            workshop.close()

    def _wait(self) -> None:
        while not self._closing and not self._jobs:
            delay = self._time_to_fill()
            if delay is not None and delay <= 0:
                return
            self._changed.wait(delay)

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
        address = self.leases.choose()
        if address is None:
            self._retry_at = time.monotonic() + _RETRY
            return
        try:
            endpoint = self._make(workshop, address)
        except ProaError as error:
            self._retry_at = time.monotonic() + _RETRY
            _log.warning("network %s: can not make endpoints in advance: %s", self._name, error)
            return
        with self._changed:
            heapq.heappush(self._ready, (address, endpoint))

    def _make_to_order(self, workshop: Workshop, mac: bytes) -> Endpoint:
        # One may have become ready meanwhile, and have the last address.
        endpoint = self.take() or self._make(workshop, self._choose_patiently(workshop))
        if mac:
            self._change_mac(workshop, endpoint, mac)
        self.leases.hand_out(IPv4Address(endpoint.address), endpoint.index, endpoint.mac_address)
        return endpoint

    def _choose_patiently(self, workshop: Workshop) -> IPv4Address:
        deadline = time.monotonic() + _PATIENCE
        while True:
            self.leases.reap(workshop.exists)
            address = self.leases.choose()
            if address is not None:
                return address
            if not self.leases.leaving or self._closing or time.monotonic() > deadline:
                raise wording.no_free_address(self._name, self._identifier)
            time.sleep(_POLL)

    def _make(self, workshop: Workshop, address: IPv4Address) -> Endpoint:
        try:
            with kernel_errors():
                endpoint = workshop.make(address)
        except BaseException:
            self.leases.put_back(address)
            raise
        if self.leases.take_misleading(address):
            self._change_mac(workshop, endpoint, mac_of(address))
        return endpoint

    def _change_mac(self, workshop: Workshop, endpoint: Endpoint, mac: bytes) -> None:
        try:
            with kernel_errors():
                workshop.change_mac(endpoint, mac)
        except BaseException:
            endpoint.close()
            address = IPv4Address(endpoint.address)
            self.leases.hand_out(address, endpoint.index, endpoint.mac_address)
            self.leases.release(address)
            raise

    def _abandon(self) -> None:
        with self._changed:
            self._closing = True
            for future, _work in self._jobs:
                future.set_exception(Unavailable(f"network {self._name} is shutting down"))
            self._jobs.clear()
            for _address, endpoint in self._ready:
                endpoint.close()
            self._ready.clear()


def _do(workshop: Workshop, future: Future[Endpoint], work: _Work) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        with kernel_errors():
            endpoint = work(workshop)
    except BaseException as error:
        future.set_exception(error)
        if not isinstance(error, ProaError):
            raise
    else:
        future.set_result(endpoint)
