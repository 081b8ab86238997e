"""Networks that share an interface of the host: macvlan and ipvlan. Containers are neighbours of the host's there.

Nothing is on the host's side but the parent: containers' interfaces are made in their namespaces and go with
them. The host itself does not reach them (Documentation/networking/ipvlan.rst).
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import NamedTuple

from proa.errors import Internal, InvalidArgument, Unavailable, Unsupported
from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.bridge import mark
from proa.network.bridge_network import Range, addresses, gateway4, gateway6
from proa.network.endpoint import DEVICE_PREFIX, PLAIN, Endpoint, Order, Plan, Workshop, index_of, remove_link
from proa.network.failures import kernel_errors
from proa.network.leases import Leases, Pair
from proa.network.live import InUse
from proa.network.pool import EndpointPool

_VLAN = re.compile(r"(.+)\.(\d{1,4})")
_HIGHEST_VLAN = 4094
# Seconds that interfaces of closed namespaces are given to vanish; each attempt makes, and closes, one more.
_PAUSES = tuple(0.02 * 2**step for step in range(8))


class Kind(NamedTuple):
    """What the containers' interfaces are."""

    driver: str  # macvlan or ipvlan
    data: bytes  # of rtnetlink.macvlan_data or ipvlan_data
    has_mac: bool = True  # ipvlan's all have the parent's
    direct: bool = False  # routed by the kernel (ipvlan's layer 3): no neighbour is asked, so there is no gateway


class ParentNetwork:
    """A `LiveNetwork` on `parent`, in the network namespace of the thread that calls `setup`.

    A parent "eth0.10" that does not exist is made: VLAN 10 of eth0. A `spare` one is a dummy, which connects
    containers with each other alone. What was made goes with the network.
    """

    def __init__(
        self,
        kind: Kind,
        parent: str,
        *,
        spare: bool,
        v4: Range | None,
        v6: Range | None = None,
        mtu: int,
        name: str,
        identifier: str = "",
        device_prefix: str = DEVICE_PREFIX,
        routed: bool = True,
        owner: str = "",
        shared: Callable[[], bool] = lambda: False,
    ) -> None:
        """`mtu` 0 is the parent's; `owner` is the engine, `shared` tells whether others are on the parent."""
        self.device_prefix = device_prefix
        self.parent = parent
        self._kind, self._spare = kind, spare
        self._v4, self._v6 = v4, v6
        self._name, self._identifier = name, identifier
        self._mtu, self._routed = mtu, routed
        self._owner, self._shared = owner, shared
        self.disturbed = False
        self._pool: EndpointPool | None = None

    def setup(self, running: Iterable[InUse] = ()) -> None:
        """Find or make the parent; addresses of containers that are `running` stay theirs."""
        with kernel_errors(), Socket() as route:
            if not rtnetlink.has_kind(route, self._kind.driver):
                driver = self._kind.driver
                raise Unsupported(f"this kernel has no {driver} interfaces (its module {driver} is missing)")
            index = self._find_parent(route)
        plan = Plan(
            gateway=gateway4(self._v4),
            gateway6=gateway6(self._v6),
            mtu=self._mtu,
            device_prefix=self.device_prefix,
            routed=self._routed,
            direct=self._kind.direct,
            named=True,
        )
        leases = Leases(addresses(self._v4), addresses(self._v6))
        for place in running:
            leases.reserve(Pair.parse(place.address, place.address6), 0, place.mac_address)
        self._pool = EndpointPool(
            lambda: _Workshop(index, plan, self._kind),
            leases,
            name=self._name,
            identifier=self._identifier,
            size=0,
            on_demand=True,
        )
        self._pool.start()

    def _find_parent(self, route: Socket) -> int:
        link = rtnetlink.link(route, self.parent)
        if link is None:
            self._make_parent(route)
            link = rtnetlink.link(route, self.parent)
        if link is None:
            raise Internal(f"the interface {self.parent} was removed while a network was made on it")
        return link.index

    def _make_parent(self, route: Socket) -> None:
        match = _VLAN.fullmatch(self.parent)
        if self._spare:
            made = rtnetlink.add_link(self.parent, "dummy")
        elif match and 0 < int(match[2]) <= _HIGHEST_VLAN:
            below = rtnetlink.link(route, match[1])
            if below is None:
                raise InvalidArgument(f"failed to find master interface {match[1]} on the Docker host")
            made = rtnetlink.add_link(
                self.parent, "vlan", parent=below.index, data=rtnetlink.vlan_data(int(match[2]))
            )
        else:
            raise InvalidArgument(f"invalid subinterface vlan name {self.parent}, example formatting is eth0.10")
        route.execute(made, rtnetlink.set_link(0, self.parent, up=True, alias=mark(self._owner)))

    def take(self) -> Endpoint | None:
        """Return None: none is made in advance, for a MAC address that nobody uses has no place on a LAN."""
        return None

    def order(self, order: Order) -> Future[Endpoint]:
        """Have an endpoint made as ordered."""
        return self._open_pool().request(order)

    def release(self, pair: Pair) -> None:
        """Take the addresses back of a container that has ended; twice is no error."""
        self._open_pool().release(pair)

    def unplug(self, interface: str, device: str, namespace: int, pair: Pair) -> Future[None]:
        """Take an endpoint from a container that goes on, by its name inside."""
        return self._open_pool().unplug(interface, device, namespace, pair)

    def close(self) -> None:
        """Let go of what is used to make endpoints; containers keep theirs."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def teardown(self) -> None:
        """Close, and remove a parent that was made for it, unless another network has it as well."""
        self.close()
        if self._shared():
            return
        with kernel_errors(), Socket() as route:
            link = rtnetlink.link(route, self.parent)
            if link is not None and link.alias == mark(self._owner):
                remove_link(route, self.parent)

    def _open_pool(self) -> EndpointPool:
        if self._pool is None:
            raise Unavailable(f"network {self._name} is not set up")
        return self._pool


class _Workshop(Workshop):
    """Makes interfaces on a parent instead of pairs on a bridge."""

    def __init__(self, parent: int, plan: Plan, kind: Kind) -> None:
        super().__init__(parent, plan)
        self._parent, self._kind = parent, kind
        self._has_mac = kind.has_mac

    def make(self, pair: Pair, order: Order = PLAIN) -> Endpoint:
        """Make one. Its addresses may still be an earlier one's, whose namespace the kernel takes apart."""
        for pause in (*_PAUSES, None):
            try:
                return super().make(pair, order)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or pause is None:
                    raise
            time.sleep(pause)
        raise AssertionError("the last pause is none")

    def _plug(self, namespace: int, device: str, mac: bytes) -> str:
        # Old kernels, 6.1 among them, look for the name among this host's interfaces, where the parent is an eth0,
        # too: so it is made under a name that nobody has.
        made = f"{self._kind.driver[:7]}{os.urandom(3).hex()}"
        self._host.execute(
            rtnetlink.add_link(
                made,
                self._kind.driver,
                parent=self._parent,
                netns=namespace,
                mac=mac if self._kind.has_mac else b"",
                mtu=self.plan.mtu,
                data=self._kind.data,
            )
        )
        with Socket() as inside:
            try:
                inside.execute(rtnetlink.set_link(index_of(inside, made), made, rename=device))
            except BaseException:
                remove_link(inside, made)
                raise
        return ""

    def unplug(self, interface: str, device: str, namespace: int) -> None:
        """Take an endpoint from its container by its name inside; one that is gone is no error."""
        with self._within(namespace), Socket() as inside:
            remove_link(inside, device)
