"""The network "bridge", of containers that name no other: set up when the engine starts, and kept."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from ipaddress import IPv4Interface
from pathlib import Path

from proa import wording
from proa.errors import Unavailable
from proa.linux.netlink import Socket
from proa.network import forwarding
from proa.network.addresses import parse_mac
from proa.network.bridge import Bridge
from proa.network.bridge_network import BridgeNetwork, Range
from proa.network.endpoint import Endpoint, Order
from proa.network.failures import kernel_errors
from proa.network.firewall import Rules
from proa.network.host import DEFAULT_MTU, one_at_a_time, uplink_mtu
from proa.network.leases import Pair
from proa.network.live import InUse
from proa.network.pool import SIZE
from proa.network.site import Site
from proa.network.subnets import DEFAULT_POOLS, Neighbourhood, Pool, parse_bridge_address

DEFAULT_DATA_ROOT = Path("/var/lib/proa")

_log = logging.getLogger(__name__)


def names(data_root: Path) -> tuple[str, str]:
    """Return the names of bridge and table of the engine with this data root: each has its own."""
    if data_root == DEFAULT_DATA_ROOT:
        return "proa0", "proa"
    suffix = hashlib.sha256(str(data_root).encode()).hexdigest()[:8]
    return f"proa-{suffix}", f"proa-{suffix}"


class DefaultBridge:
    """The default network of one engine, in the network namespace of the thread that calls `setup`.

    setup() ── acquire() ⇄ release() ── close(), which leaves bridge and firewall to running containers and
    the next engine, or teardown(), which leaves nothing. `setup`, `close` and `teardown` are for one thread,
    the others for any. Errors are `ProaError`s.
    """

    def __init__(
        self,
        *,
        name: str,
        table: str,
        state_file: Path,
        bip: str = "",
        mtu: int = 0,
        network_id: str = "",
        pool_size: int = SIZE,
        pools: Sequence[Pool] = DEFAULT_POOLS,
    ) -> None:
        self.name = name
        self.site = Site(table, state_file)
        self.mtu = mtu or DEFAULT_MTU
        self.warnings: list[str] = []
        self._bip = parse_bridge_address(bip) if bip else None
        self._mtu_follows = not mtu
        self._network_id = network_id
        self._pool_size = pool_size
        self._pools = pools
        self._network: BridgeNetwork | None = None

    @property
    def network(self) -> BridgeNetwork:
        """What it has in common with all others, known since `setup`."""
        if self._network is None:
            raise Unavailable("network bridge is not set up")
        return self._network

    @property
    def gateway(self) -> IPv4Interface:
        """The bridge's own address with its network, known since `setup`."""
        (gateway,) = self.network.gateways
        assert isinstance(gateway, IPv4Interface)
        return gateway

    def setup(self, running: Iterable[InUse] = (), others: Iterable[Rules] = ()) -> None:
        """Make the network, or find it as an earlier engine left it; begin to make endpoints in advance.

        `running` are the endpoints of containers that are still running: their addresses stay theirs. Other
        endpoints on the bridge are orphans and removed. The firewall has the rules of `others` from the
        beginning, so that the traffic of their containers does not stop. `warnings` tells what on the host may
        be in the way.
        """
        rules = Rules(self.name)
        with kernel_errors(), Socket() as route:
            bridge = Bridge(route, self.name)
            with one_at_a_time():
                gateway = self._choose_gateway(route, bridge)
                if self._mtu_follows:
                    self.mtu = uplink_mtu(route, self.name)
                link = bridge.ensure([gateway], self.mtu)
                if self._mtu_follows:
                    self.mtu = link.mtu  # also that of a bridge which others made
        self.site.setup([rules, *others])
        self.warnings = list(forwarding.obstacles(self.name))
        for warning in self.warnings:
            _log.warning("%s", warning)
        network = BridgeNetwork(
            self.site,
            rules,
            v4=Range(gateway),
            mtu=self.mtu,
            name="bridge",
            identifier=self._network_id,
            pool_size=self._pool_size,
        )
        network.setup(running)
        self._network = network

    def take(self) -> Endpoint | None:
        """Return a ready endpoint in microseconds, None when `acquire` would have to wait for one."""
        return self.network.take()

    def acquire(self, mac_address: str = "") -> Endpoint:
        """Return an endpoint, with the given MAC address if any. Waits some 2 ms when none is ready.

        The caller closes it when the container has it, and calls `release` at the container's end.
        """
        mac = parse_mac(mac_address) if mac_address else b""
        endpoint = None if mac else self.take()
        return endpoint or self.network.order(Order(mac=mac)).result()

    def request(self, mac_address: str = "") -> Future[Endpoint]:
        """Have an endpoint made, for callers that must not wait; they release what comes of it."""
        return self.network.order(Order(mac=parse_mac(mac_address) if mac_address else b""))

    def release(self, endpoint: Endpoint | str) -> None:
        """Take back an endpoint, or its address, from a container that has ended; twice is no error."""
        if isinstance(endpoint, Endpoint):
            endpoint.close()
            endpoint = endpoint.address
        self.network.release(Pair.parse(endpoint))

    @property
    def ready(self) -> int:
        """How many endpoints can be had without waiting."""
        return self._network.ready if self._network else 0

    def close(self) -> None:
        """Let go of the endpoints nobody uses; containers keep running on what stays."""
        if self._network is not None:
            self._network.close()

    def teardown(self) -> None:
        """Close, and remove bridge, endpoints, and what is left of the site; other networks are gone by now."""
        self.close()
        with kernel_errors(), Socket() as route:
            bridge = Bridge(route, self.name)
            bridge.remove_endpoints()
            bridge.remove()
        self.site.teardown()

    def _choose_gateway(self, route: Socket, bridge: Bridge) -> IPv4Interface:
        neighbourhood = Neighbourhood.read(route, without=self.name)
        if self._bip is not None:
            clash = neighbourhood.clash(self._bip.network)
            if clash:
                raise wording.pool_overlaps(str(self._bip.network), clash)
            return self._bip
        present = bridge.address()
        if present is not None:
            return present
        # After a restart of the host containers find the network they knew, unless its place is taken.
        remembered = self.site.notes().get("gateway")
        gateway = IPv4Interface(remembered) if remembered else None
        subnet = neighbourhood.free_subnet(self._pools, gateway.network if gateway else None)
        if gateway is None or gateway.network != subnet:
            gateway = IPv4Interface((subnet.network_address + 1, subnet.prefixlen))
        self.site.remember(gateway=str(gateway))
        return gateway
