"""Who has which address of a network, from being chosen until nothing in the kernel answers for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from proa.network.addresses import Addresses, format_mac, mac_of

_REAPED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _Lease:
    index: int  # of the interface on the host's side, 0 when it is gone
    foreign_mac: bool  # not the MAC address that goes with the address


class Leases:
    """The addresses of the network of `gateway`. Its methods may be called from any thread."""

    def __init__(self, gateway: IPv4Interface) -> None:
        self._lock = threading.Lock()
        self._addresses = Addresses(gateway)
        self._leases: dict[IPv4Address, _Lease] = {}
        self._leaving: deque[tuple[IPv4Address, int]] = deque()
        self._misleading: set[IPv4Address] = set()

    def choose(self) -> IPv4Address | None:
        """Return the lowest free address, not free any more; None when there is none."""
        with self._lock:
            return self._addresses.allocate()

    def hand_out(self, address: IPv4Address, index: int, mac: str) -> None:
        """Note that a chosen address is in use, behind the interface `index`; again when its MAC changes."""
        with self._lock:
            self._leases[address] = _Lease(index, mac != format_mac(mac_of(address)))

    def reserve(self, address: IPv4Address, index: int, mac: str) -> None:
        """Note that an address has been in use since before."""
        with self._lock:
            self._addresses.reserve(address)
        self.hand_out(address, index, mac)

    def put_back(self, address: IPv4Address) -> None:
        """Free a chosen address that was never used."""
        with self._lock:
            self._addresses.free(address)

    def release(self, address: IPv4Address) -> None:
        """End a lease, once; the address is free after `reap` found its interface gone."""
        with self._lock:
            lease = self._leases.pop(address, None)
            if lease is None:
                return
            if lease.foreign_mac:
                self._misleading.add(address)
            self._leaving.append((address, lease.index))

    def reap(self, exists: Callable[[int], bool]) -> None:
        """Free addresses whose interface `exists` no more, looking at a few of those that wait longest."""
        with self._lock:
            for _ in range(min(len(self._leaving), _REAPED_AT_ONCE)):
                address, index = self._leaving.popleft()
                # What other processes in the namespace keep alive is looked at again later.
                if index and exists(index):
                    self._leaving.append((address, index))
                else:
                    self._addresses.free(address)

    @property
    def leaving(self) -> int:
        """How many released addresses are not free yet."""
        with self._lock:
            return len(self._leaving)

    def take_misleading(self, address: IPv4Address) -> bool:
        """Whether neighbours may know `address` by a wrong MAC address; asked once: they are told then."""
        with self._lock:
            if address not in self._misleading:
                return False
            self._misleading.discard(address)
            return True
