"""Who has which addresses of a network, from being chosen until nothing in the kernel answers for them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from proa.network.addresses import Address, Addresses, format_mac, mac_of, parse

_REAPED_AT_ONCE = 16


class Pair(NamedTuple):
    """The addresses of one endpoint; a network has at least one of the two families."""

    v4: Address | None = None
    v6: Address | None = None

    @classmethod
    def parse(cls, v4: str, v6: str = "") -> Pair:
        """Return the pair that a record has as text."""
        return cls(parse(v4), parse(v6))

    @property
    def main(self) -> Address | None:
        """The one that gives the endpoint its MAC address."""
        return self.v4 or self.v6

    @property
    def mac(self) -> bytes:
        main = self.main
        assert main is not None
        return mac_of(main)

    @property
    def order(self) -> tuple[int, int]:
        """What to sort by: the lowest address first."""
        return int(self.v4 or 0), int(self.v6 or 0)


ANY = Pair()  # as a wish


@dataclass(frozen=True, slots=True)
class _Lease:
    index: int  # of the interface on the host's side, 0 when it is gone
    foreign_mac: bool  # not the MAC address that goes with the address


class Leases:
    """The addresses of a network, of one family or both. Its methods may be called from any thread."""

    def __init__(self, v4: Addresses | None, v6: Addresses | None = None) -> None:
        self._lock = threading.Lock()
        self._v4, self._v6 = v4, v6
        self._leases: dict[Pair, _Lease] = {}
        self._leaving: deque[tuple[Pair, int]] = deque()
        self._misleading: set[Pair] = set()

    def choose(self, wish: Pair = ANY) -> Pair | None:
        """Return the lowest free addresses, or those wished for, not free any more; None when there are none."""
        with self._lock:
            v4 = _choose(self._v4, wish.v4)
            if self._v4 is not None and v4 is None:
                return None
            v6 = _choose(self._v6, wish.v6)
            if self._v6 is not None and v6 is None:
                if self._v4 is not None and v4 is not None:
                    self._v4.free(v4)
                return None
            return Pair(v4, v6)

    def hand_out(self, pair: Pair, index: int, mac: str) -> None:
        """Note that chosen addresses are in use, behind the interface `index`; again when its MAC changes."""
        with self._lock:
            self._leases[pair] = _Lease(index, mac not in ("", format_mac(pair.mac)))

    def reserve(self, pair: Pair, index: int, mac: str) -> None:
        """Note that addresses have been in use since before."""
        with self._lock:
            for addresses, address in ((self._v4, pair.v4), (self._v6, pair.v6)):
                if addresses is not None and address is not None:
                    addresses.reserve(address)
        self.hand_out(pair, index, mac)

    def put_back(self, pair: Pair) -> None:
        """Free chosen addresses that were never used."""
        with self._lock:
            self._free(pair)

    def release(self, pair: Pair) -> None:
        """End a lease, once; the addresses are free after `reap` found their interface gone."""
        with self._lock:
            lease = self._leases.pop(pair, None)
            if lease is None:
                return
            if lease.foreign_mac:
                self._misleading.add(pair)
            self._leaving.append((pair, lease.index))

    def reap(self, exists: Callable[[int], bool]) -> None:
        """Free addresses whose interface `exists` no more, looking at a few of those that wait longest."""
        with self._lock:
            for _ in range(min(len(self._leaving), _REAPED_AT_ONCE)):
                pair, index = self._leaving.popleft()
                # What other processes in the namespace keep alive is looked at again later.
                if index and exists(index):
                    self._leaving.append((pair, index))
                else:
                    self._free(pair)

    @property
    def leaving(self) -> int:
        """How many released pairs are not free yet."""
        with self._lock:
            return len(self._leaving)

    def is_leaving(self, wish: Pair) -> bool:
        """Whether an address wished for is only waiting for its interface to go; without a wish, any."""
        with self._lock:
            if wish.main is None:
                return bool(self._leaving)
            return any(
                (wish.v4 is not None and wish.v4 == pair.v4) or (wish.v6 is not None and wish.v6 == pair.v6)
                for pair, _index in self._leaving
            )

    def take_misleading(self, pair: Pair) -> bool:
        """Whether neighbours may know `pair` by a wrong MAC address; asked once: they are told then."""
        with self._lock:
            if pair not in self._misleading:
                return False
            self._misleading.discard(pair)
            return True

    def _free(self, pair: Pair) -> None:
        for addresses, address in ((self._v4, pair.v4), (self._v6, pair.v6)):
            if addresses is not None and address is not None:
                addresses.free(address)


def _choose(addresses: Addresses | None, wish: Address | None) -> Address | None:
    if addresses is None:
        return None
    if wish is None:
        return addresses.allocate()
    return wish if addresses.reserve(wish) else None
