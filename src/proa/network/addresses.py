"""The addresses of one subnet, given out lowest first as Docker does, and the MAC addresses made of them."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
)

from proa import wording

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Subnet = IPv4Network | IPv6Network

_MAC = re.compile("[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")


class Addresses:
    """The free and used addresses of the network of `gateway`, which is used, as are `taken`.

    Those that nobody asks for by name come from the subnet `within`, if given. One thread at a time.
    """

    def __init__(self, gateway: Interface, *, within: Subnet | None = None, taken: Iterable[Address] = ()) -> None:
        network = self.network = gateway.network
        chosen = within or network
        self._make = type(gateway.ip)
        self._begin = self._next = int(chosen.network_address)
        self._end = int(chosen.broadcast_address) + 1
        self._free: list[int] = []  # a heap of addresses given back, all below `_next`
        self._used = {int(gateway.ip), *map(int, taken)}
        if network.prefixlen < network.max_prefixlen - 1:  # in smaller ones every address is a host's (RFC 3021)
            self._used.add(int(network.network_address))
            if network.version == 4:
                self._used.add(int(network.broadcast_address))

    def allocate(self) -> Address | None:
        """Return the lowest free address as used from now on, None when there is none."""
        while self._free:
            address = heapq.heappop(self._free)
            if address not in self._used:
                self._used.add(address)
                return self._make(address)
        while self._next < self._end:
            address = self._next
            self._next += 1
            if address not in self._used:
                self._used.add(address)
                return self._make(address)
        return None

    def reserve(self, address: Address) -> bool:
        """Mark `address` as used; False when it was."""
        number = int(address)
        if number in self._used:
            return False
        self._used.add(number)
        return True

    def free(self, address: Address) -> None:
        """Give back an address; one that is not used is left alone."""
        number = int(address)
        if number in self._used:
            self._used.discard(number)
            if self._begin <= number < self._next:
                heapq.heappush(self._free, number)


def parse(text: str) -> Address | None:
    """Return the address that a record has as text, None for ""."""
    return ip_address(text) if text else None


def mac_of(address: Address) -> bytes:
    """Return the locally administered MAC address that goes with an address.

    Derived, not random: neighbours whose ARP caches know the last owner of an address reach the next one.
    """
    return b"\x02\x42" + address.packed[-4:]


def random_mac() -> bytes:
    """Return a random, locally administered unicast MAC address."""
    first, *rest = os.urandom(6)
    return bytes([first & 0xFC | 0x02, *rest])


def parse_mac(text: str) -> bytes:
    """Return a MAC address given by a user (six bytes, with colons or hyphens); raises `InvalidArgument`."""
    if not _MAC.fullmatch(text):
        raise wording.invalid_mac(text)
    mac = bytes.fromhex(text.replace("-", "").replace(":", ""))
    if mac[0] & 1 or not any(mac):  # multicast, or none
        raise wording.invalid_mac(text)
    return mac


def format_mac(mac: bytes) -> str:
    """Return the usual form, "02:42:ac:11:00:02"."""
    return mac.hex(":")
