"""Which names there are: the containers, their networks, and what each container calls the others.

A container's names are known on the networks it is on, and only to those that are on the same network. The
order of a container's endpoints decides where two networks know the same name. Names are bytes in lower case.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton

from proa.dns.message import TYPE_PTR, address_record, record, write_name

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Endpoint:
    """A container on a network. `description`: "network" (its id), "name" (the network's), "names", "addresses",
    and "links", by what this container calls others on the network instead.
    """

    __slots__ = ("links", "names", "network", "network_name", "packed", "records", "reverse")

    def __init__(self, description: dict[str, Any]) -> None:
        self.network: str = description["network"]
        self.network_name = _key(description["name"])
        self.names = tuple(dict.fromkeys(map(_key, description["names"])))
        self.packed = [_pack(address) for address in description["addresses"]]
        self.records = {
            4: [address_record(packed) for packed in self.packed if len(packed) == 4],
            16: [address_record(packed) for packed in self.packed if len(packed) == 16],
        }
        self.links = {_key(alias): _key(name) for alias, name in description["links"].items()}
        first = description["names"][0] if self.names else ""
        full = write_name(_bytes(f"{first}.{description['name']}")) if first else None
        self.reverse = record(TYPE_PTR, full) if full else None


class _Name:
    """Who has a name on a network, in the order of appearance."""

    __slots__ = ("owners", "turns")

    def __init__(self) -> None:
        self.owners: list[Endpoint] = []
        self.turns = {4: 0, 16: 0}

    def records(self, size: int) -> list[bytes]:
        """Return the addresses of all owners, each time beginning with the next."""
        if len(self.owners) == 1:
            return self.owners[0].records[size]
        found = list(dict.fromkeys(each for owner in self.owners for each in owner.records[size]))
        if len(found) > 1:
            turn = self.turns[size] = (self.turns[size] + 1) % len(found)
            return found[turn:] + found[:turn]
        return found


class _Network:
    """The names and the addresses of one network."""

    __slots__ = ("by_address", "by_name", "members")

    def __init__(self) -> None:
        self.members = 0
        self.by_name: dict[bytes, _Name] = {}
        self.by_address: dict[bytes, list[Endpoint]] = {}

    def add(self, endpoint: Endpoint) -> None:
        self.members += 1
        for name in endpoint.names:
            self.by_name.setdefault(name, _Name()).owners.append(endpoint)
        for packed in endpoint.packed:
            self.by_address.setdefault(packed, []).append(endpoint)

    def remove(self, endpoint: Endpoint) -> None:
        self.members -= 1
        for name in endpoint.names:
            known = self.by_name[name]
            known.owners.remove(endpoint)
            if not known.owners:
                del self.by_name[name]
        for packed in endpoint.packed:
            there = self.by_address[packed]
            there.remove(endpoint)
            if not there:
                del self.by_address[packed]


class Directory:
    """The names of all networks. A container's questions are answered by its endpoints."""

    def __init__(self) -> None:
        self._networks: dict[str, _Network] = {}

    def replace(self, old: Sequence[Endpoint], new: Sequence[Endpoint]) -> None:
        """Forget the endpoints that a container had, and know those it has."""
        for endpoint in new:
            self._networks.setdefault(endpoint.network, _Network()).add(endpoint)
        for endpoint in old:
            network = self._networks[endpoint.network]
            network.remove(endpoint)
            if not network.members:
                del self._networks[endpoint.network]

    def addresses(self, endpoints: Sequence[Endpoint], name: bytes, size: int) -> list[bytes] | None:
        """Return the records of the addresses of `size` bytes that a name has for the container of `endpoints`.

        None if it is no container's name. Both may have dots: "a.b.c" is "a.b.c" on any network of the
        container's, or "a.b" on the network "c", or "a" on "b.c".
        """
        found = self._find(endpoints, name, size)
        dot = len(name)
        while found is None and (dot := name.rfind(b".", 0, dot)) >= 0:
            network = name[dot + 1 :]
            there = [endpoint for endpoint in endpoints if endpoint.network_name == network]
            if there:
                found = self._find(there, name[:dot], size)
        return found

    def _find(self, endpoints: Sequence[Endpoint], name: bytes, size: int) -> list[bytes] | None:
        for endpoint in endpoints:
            if target := endpoint.links.get(name):
                known = self._networks[endpoint.network].by_name.get(target)
                if known:
                    return known.records(size)
        for endpoint in endpoints:
            if name not in endpoint.links:  # what a link is called hides whoever has the name
                known = self._networks[endpoint.network].by_name.get(name)
                if known:
                    return known.records(size)
        return None

    def host(self, endpoints: Sequence[Endpoint], packed: bytes) -> bytes | None:
        """Return the record of the name that an address has for the container of `endpoints`."""
        for endpoint in endpoints:
            for owner in self._networks[endpoint.network].by_address.get(packed, ()):
                if owner.reverse:
                    return owner.reverse
        return None


def _key(name: str) -> bytes:
    return _bytes(name).lower().removesuffix(b".")


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogatepass")  # JSON has them


def _pack(address: str) -> bytes:
    return inet_pton(AF_INET6 if ":" in address else AF_INET, address)
