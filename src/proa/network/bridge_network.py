"""A network of containers on a bridge of its own: the default one, and those that users make.

It is a `LiveNetwork`: a `Bridge`, an `EndpointPool` on it, and elements in the sets of the site's firewall.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Future
from ipaddress import IPv4Interface, IPv6Interface

from proa.errors import Unavailable
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.addresses import Address, Addresses, Interface, Subnet
from proa.network.bridge import Bridge
from proa.network.endpoint import DEVICE_PREFIX, Endpoint, Order, Plan, Workshop
from proa.network.failures import kernel_errors
from proa.network.firewall import Rules
from proa.network.leases import Leases, Pair
from proa.network.live import InUse
from proa.network.pool import SIZE, EndpointPool
from proa.network.site import Site


class Range:
    """The addresses of one family: the bridge's own with the subnet, and which of it containers may get."""

    def __init__(self, gateway: Interface, *, within: Subnet | None = None, taken: Iterable[Address] = ()) -> None:
        self.gateway = gateway
        self._within, self._taken = within, tuple(taken)

    def addresses(self) -> Addresses:
        return Addresses(self.gateway, within=self._within, taken=self._taken)


class BridgeNetwork:
    """One network, in the network namespace of the thread that calls `setup`.

    `close` leaves bridge and firewall to running containers and the next engine, `teardown` leaves nothing.
    `setup`, `close` and `teardown` are for one thread at a time, the others for any. Errors are `ProaError`s.
    """

    def __init__(
        self,
        site: Site,
        rules: Rules,
        *,
        v4: Range | None,
        v6: Range | None = None,
        mtu: int,
        name: str,
        identifier: str = "",
        owner: str = "",
        device_prefix: str = DEVICE_PREFIX,
        pool_size: int = SIZE,
        on_demand: bool = False,
        absent: Collection[int] = (),
        named: bool = False,
    ) -> None:
        """`owner` is whose bridge it is in the kernel; of the IP versions `absent` the bridge has no address.

        With `named` its containers have names: each gets the sockets of a name server.
        """
        self.rules = rules
        self._site = site
        self._v4, self._v6 = v4, v6
        self._mtu, self._absent, self._named = mtu, absent, named
        self._name, self._identifier, self._owner = name, identifier, owner
        self.device_prefix = device_prefix
        self._pool_size, self._on_demand = pool_size, on_demand
        self.disturbed = False
        self._pool: EndpointPool | None = None

    @property
    def gateways(self) -> list[Interface]:
        """The bridge's own addresses with their subnets."""
        return [each.gateway for each in (self._v4, self._v6) if each is not None]

    def setup(self, running: Iterable[InUse] = ()) -> rtnetlink.Link:
        """Make the network, or find it as an earlier engine left it; return its bridge.

        `running` are the endpoints of containers that are still running: their addresses stay theirs. Other
        endpoints on the bridge are orphans and removed.
        """
        if self._v6 is not None:
            self._site.enable_ipv6()
        with kernel_errors(), Socket() as route:
            bridge = Bridge(route, self.rules.bridge, self._owner)
            own = [each for each in self.gateways if each.version not in self._absent]
            link = bridge.ensure(own, self._mtu)
            self._site.add(self.rules)
            plan = Plan(
                gateway=gateway4(self._v4),
                gateway6=gateway6(self._v6),
                mtu=self._mtu,
                device_prefix=self.device_prefix,
                routed=not self.rules.internal,
                isolated=self.rules.isolated,
                named=self._named,
            )
            leases = Leases(addresses(self._v4), addresses(self._v6))
            self.disturbed = _adopt(bridge, leases, running)
        pool = EndpointPool(
            lambda: Workshop(link.index, plan),
            leases,
            name=self._name,
            identifier=self._identifier,
            size=self._pool_size,
            on_demand=self._on_demand,
        )
        pool.start()
        self._pool = pool
        return link

    def take(self) -> Endpoint | None:
        """Return a ready endpoint in microseconds, None when an order would have to be waited for."""
        return self._open_pool().take()

    def order(self, order: Order) -> Future[Endpoint]:
        """Have an endpoint made as ordered (some 2 ms), whatever becomes of the future: release what comes of it.

        Whoever gets it closes it when the container has it, and calls `release` at the container's end.
        """
        return self._open_pool().request(order)

    def release(self, pair: Pair) -> None:
        """Take the addresses back of a container that has ended; twice is no error."""
        self._open_pool().release(pair)

    def unplug(self, interface: str, device: str, namespace: int, pair: Pair) -> Future[None]:
        """Take an endpoint, known by the host's side of it, from a container that goes on."""
        return self._open_pool().unplug(interface, device, namespace, pair)

    @property
    def is_set_up(self) -> bool:
        return self._pool is not None

    @property
    def ready(self) -> int:
        """How many endpoints can be had without waiting."""
        return self._pool.ready if self._pool else 0

    def close(self) -> None:
        """Let go of the endpoints nobody uses; containers keep running on what stays."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def teardown(self) -> None:
        """Close, and remove bridge, endpoints and the rules about them."""
        self.close()
        with kernel_errors(), Socket() as route:
            bridge = Bridge(route, self.rules.bridge, self._owner)
            bridge.remove_endpoints()
            bridge.remove()
        self._site.remove(self.rules)

    def _open_pool(self) -> EndpointPool:
        if self._pool is None:
            raise Unavailable(f"network {self._name} is not set up")
        return self._pool


def addresses(found: Range | None) -> Addresses | None:
    """Return the addresses of a range, all free, None for none."""
    return found.addresses() if found else None


def gateway4(found: Range | None) -> IPv4Interface | None:
    """Return the IPv4 gateway of a range with its subnet."""
    return found.gateway if found and isinstance(found.gateway, IPv4Interface) else None


def gateway6(found: Range | None) -> IPv6Interface | None:
    """Return the IPv6 gateway of a range with its subnet."""
    return found.gateway if found and isinstance(found.gateway, IPv6Interface) else None


def _adopt(bridge: Bridge, leases: Leases, running: Iterable[InUse]) -> bool:
    """Keep what is running, and nothing else; return whether some container has lost an interface that way."""
    ports = bridge.endpoints()
    keep = []
    for endpoint in running:
        port = ports.get(endpoint.interface)
        pair = Pair.parse(endpoint.address, endpoint.address6)
        leases.reserve(pair, port.index if port else 0, endpoint.mac_address)
        keep.append(endpoint.interface)
    return bridge.remove_endpoints(keep)
