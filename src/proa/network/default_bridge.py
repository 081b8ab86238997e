"""The network "bridge", of containers that name no other: set up when the engine starts, and kept."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import closing
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Protocol

from proa import atomic, wording
from proa.errors import Internal, Unavailable
from proa.linux.netlink import Socket
from proa.network import forwarding
from proa.network.addresses import parse_mac
from proa.network.bridge import Bridge
from proa.network.endpoint import Endpoint
from proa.network.failures import kernel_errors
from proa.network.firewall import Firewall, Rules
from proa.network.host import DEFAULT_MTU, has_bridges, one_at_a_time, uplink_mtu
from proa.network.pool import SIZE, EndpointPool
from proa.network.subnets import Neighbourhood, parse_bridge_address

DEFAULT_DATA_ROOT = Path("/var/lib/proa")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_log = logging.getLogger(__name__)


class InUse(Protocol):
    """What is remembered of an endpoint of a running container; `Endpoint` has it all."""

    @property
    def address(self) -> str: ...
    @property
    def interface(self) -> str: ...
    @property
    def mac_address(self) -> str: ...


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
    ) -> None:
        self.name = name
        self.table = table
        self.mtu = mtu or DEFAULT_MTU
        self.warnings: list[str] = []
        self._bip = parse_bridge_address(bip) if bip else None
        self._mtu_follows = not mtu
        self._state_file = state_file
        self._network_id = network_id
        self._pool_size = pool_size
        self._gateway: IPv4Interface | None = None
        self._pool: EndpointPool | None = None

    @property
    def gateway(self) -> IPv4Interface:
        """The bridge's own address with its network, known since `setup`."""
        if self._gateway is None:
            raise Unavailable("network bridge is not set up")
        return self._gateway

    def setup(self, running: Iterable[InUse] = ()) -> None:
        """Make the network, or find it as an earlier engine left it; begin to make endpoints in advance.

        `running` are the endpoints of containers that are still running: their addresses stay theirs. Other
        endpoints on the bridge are orphans and removed. `warnings` tells what on the host may be in the way.
        """
        with kernel_errors(), Socket() as route:
            bridge = Bridge(route, self.name)
            with one_at_a_time():
                self._gateway = self._choose_gateway(route, bridge)
                if self._mtu_follows:
                    self.mtu = uplink_mtu(route, self.name)
                link = bridge.ensure(self._gateway, self.mtu)
                if self._mtu_follows:
                    self.mtu = link.mtu  # also that of a bridge which others made
            self._enable_forwarding()
            with closing(Firewall(self.table)) as firewall:
                firewall.reset([Rules(self.name)])
            self.warnings = list(forwarding.obstacles(self.name))
            for warning in self.warnings:
                _log.warning("%s", warning)
            pool = EndpointPool(
                link.index,
                self._gateway,
                self.mtu,
                name="bridge",
                identifier=self._network_id,
                size=self._pool_size,
            )
            _adopt(bridge, pool, running)
        pool.start()
        self._pool = pool

    def take(self) -> Endpoint | None:
        """Return a ready endpoint in microseconds, None when `acquire` would have to wait for one."""
        return self._open_pool().take()

    def acquire(self, mac_address: str = "") -> Endpoint:
        """Return an endpoint, with the given MAC address if any. Waits some 2 ms when none is ready.

        The caller closes it when the container has it, and calls `release` at the container's end.
        """
        mac = parse_mac(mac_address) if mac_address else b""
        endpoint = None if mac else self._open_pool().take()
        return endpoint or self._open_pool().request(mac).result()

    def request(self, mac_address: str = "") -> Future[Endpoint]:
        """Have an endpoint made, for callers that must not wait; they release what comes of it."""
        return self._open_pool().request(parse_mac(mac_address) if mac_address else b"")

    def release(self, endpoint: Endpoint | str) -> None:
        """Take back an endpoint, or its address, from a container that has ended; twice is no error."""
        if isinstance(endpoint, Endpoint):
            endpoint.close()
            endpoint = endpoint.address
        self._open_pool().release(IPv4Address(endpoint))

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
        """Close, and remove bridge, endpoints, table and state; put forwarding back to what it was."""
        self.close()
        with kernel_errors(), Socket() as route:
            bridge = Bridge(route, self.name)
            bridge.remove_endpoints()
            bridge.remove()
            with closing(Firewall(self.table)) as firewall:
                firewall.delete()
            if self._state().get("enabled_forwarding") == _boot() and not has_bridges(route):
                forwarding.disable()
        self._state_file.unlink(missing_ok=True)

    def _open_pool(self) -> EndpointPool:
        if self._pool is None:
            raise Unavailable("network bridge is not set up")
        return self._pool

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
        remembered = self._state().get("gateway")
        gateway = IPv4Interface(remembered) if remembered else None
        subnet = neighbourhood.free_subnet(gateway.network if gateway else None)
        if gateway is None or gateway.network != subnet:
            gateway = IPv4Interface((subnet.network_address + 1, subnet.prefixlen))
        self._remember(gateway=str(gateway))
        return gateway

    def _enable_forwarding(self) -> None:
        if not forwarding.is_enabled():
            # Noted first: who dies in between leaves a note too many, not a host that forwards for ever.
            self._remember(enabled_forwarding=_boot())
            forwarding.enable()

    def _state(self) -> dict[str, str]:
        try:
            state = json.loads(self._state_file.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise Internal(f"{self._state_file} is damaged: {error}", hint="remove it") from error
        return {str(key): str(value) for key, value in state.items()} if isinstance(state, dict) else {}

    def _remember(self, **changes: str) -> None:
        atomic.write(self._state_file, json.dumps({**self._state(), **changes}).encode())


def _adopt(bridge: Bridge, pool: EndpointPool, running: Iterable[InUse]) -> None:
    ports = bridge.endpoints()
    keep = []
    for endpoint in running:
        port = ports.get(endpoint.interface)
        pool.leases.reserve(IPv4Address(endpoint.address), port.index if port else 0, endpoint.mac_address)
        keep.append(endpoint.interface)
    bridge.remove_endpoints(keep)


def _boot() -> str:
    return _BOOT_ID.read_text().strip()
