"""The networks an engine has: Docker's three predefined ones, and those of users."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from proa import ids, times, wording
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.networks import create, drivers
from proa.engine.networks.companions import Companion
from proa.engine.networks.options import NetworkOptions
from proa.engine.networks.records import DEFAULT, PREDEFINED, Network, Subnet
from proa.engine.records import EndpointRecord
from proa.errors import ProaError, Unavailable
from proa.network import bridge as kernel
from proa.network.default_bridge import DefaultBridge
from proa.network.live import LiveNetwork
from proa.network.parent_network import ParentNetwork
from proa.network.published import ANY4
from proa.network.subnets import USER_POOLS, Pool

if TYPE_CHECKING:
    from proa.network.site import Site

_log = logging.getLogger(__name__)


class Networks:
    """Networks by name, id or unique prefix; their ids stay the same for the life of the data root.

    `publish_at` is the host's address for ports of the default network that name none; `defaults` are, by driver,
    the options of networks that do not say otherwise.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        pools: Sequence[Pool] = USER_POOLS,
        publish_at: str = "",
        defaults: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._database = database
        rows = database.rows("SELECT record FROM networks")
        records = [msgspec.json.decode(data, type=Network) for (data,) in rows]
        self._networks = {network.name: network for network in sorted(records, key=lambda each: each.created)}
        self._live: dict[str, LiveNetwork] = {}
        self._events = events
        self.pools = pools
        self._publish_at = publish_at
        self.default_options = defaults or {}
        self.lock = asyncio.Lock()  # held while networks come and go
        self.arriving: Counter[str] = Counter()  # how many containers are about to be on a network, by its id
        self.companions: list[Companion] = []
        self.site: Site  # what bridges share on the host; known since `setup`
        self._mtu: int
        with database.transaction():
            for name, driver in PREDEFINED.items():
                if name not in self._networks:
                    self.save(Network(id=ids.new_id(), name=name, driver=driver, created=times.now()))

    # --- records ----------------------------------------------------------------------------------------

    def all(self) -> list[Network]:
        return list(self._networks.values())

    def get(self, name: str) -> Network:
        """Find a network by id, name or the beginning of an id; raises `NotFound` in Docker's words."""
        named = self._networks.get(name)
        for network in self._networks.values():
            if network.id == name:
                return network
        if named:
            return named
        matches = [item for item in self._networks.values() if name and item.id.startswith(name)]
        if len(matches) > 1:
            raise wording.ambiguous_network(name, len(matches))
        if not matches:
            raise wording.no_such_network(name)
        return matches[0]

    def find(self, name: str) -> Network | None:
        """Find a network as `get` does, None where there is none."""
        try:
            return self.get(name)
        except ProaError:
            return None

    def named(self, name: str) -> Network | None:
        """Return the network with exactly this name."""
        return self._networks.get(name)

    def of(self, endpoint: EndpointRecord) -> Network | None:
        """Return the network that a container is on right now."""
        network = self._networks.get(endpoint.network)
        return network if network and network.id == endpoint.network_id else None

    def save(self, network: Network) -> None:
        """Add a network, or write a changed one."""
        self._database.execute(
            "INSERT INTO networks (id, name, record) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            (network.id, network.name, msgspec.json.encode(network)),
        )
        self._networks[network.name] = network

    def forget(self, network: Network) -> None:
        """Delete a network's record; what it is in the kernel is swept up at the next start if not before."""
        self._database.execute("DELETE FROM networks WHERE id = ?", (network.id,))
        self._networks.pop(network.name, None)

    async def create(self, wanted: NetworkOptions) -> Network:
        """Make a network; see `create.create`."""
        return await create.create(self, wanted)

    def emit(self, action: str, network: Network) -> None:
        """Tell of a network."""
        self._events.emit("network", action, network.id, {"name": network.name, "type": network.driver})

    def describe_bridge(self, bridge: DefaultBridge) -> None:
        """Record what the default bridge turned out to be."""
        network = self._networks[DEFAULT]
        gateway = bridge.gateway
        network.subnets = [Subnet(subnet=str(gateway.network), gateway=str(gateway.ip))]
        network.options = {
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.enable_icc": "true",
            "com.docker.network.bridge.enable_ip_masquerade": "true",
            drivers.HOST_BINDING: self._publish_at or ANY4,
            "com.docker.network.bridge.name": bridge.name,
            "com.docker.network.driver.mtu": str(bridge.mtu),
        }
        self.save(network)

    # --- in the kernel ----------------------------------------------------------------------------------

    def setup(self, bridge: DefaultBridge, running: Iterable[EndpointRecord]) -> None:
        """Make all networks, or find them as an earlier engine left them with what is `running` on them.

        For a thread: no record is written. A network that can not be made is told in the log, and to those who
        want to use it; only the default one is needed.
        """
        places: dict[str, list[EndpointRecord]] = defaultdict(list)
        for endpoint in running:
            places[endpoint.network_id].append(endpoint)
        self.site = bridge.site
        users = [network for network in self._networks.values() if drivers.has_kernel_part(network)]
        rules = [drivers.rules(network) for network in users if network.driver == "bridge"]
        bridge.setup(places[self._networks[DEFAULT].id], rules)
        self._mtu = bridge.mtu
        kernel.sweep(self.site.table, [drivers.interface(network) for network in users])
        self._live[self._networks[DEFAULT].id] = bridge.network
        for network in users:
            try:
                self.bring_up(network, places[network.id])
            except ProaError as error:
                _log.error("network %s can not be set up: %s", network.name, error)

    def bring_up(self, network: Network, running: Iterable[EndpointRecord] = ()) -> None:
        """Make a network in the kernel; for a thread. Raises `ProaError`, and leaves nothing then."""
        live = drivers.live(network, self.site, self._mtu, self._has_parent)
        try:
            live.setup(running)
        except BaseException:
            if not running:
                live.teardown()
            raise
        self._live[network.id] = live

    def bring_down(self, network: Network) -> None:
        """Take a network without containers out of the kernel; for a thread."""
        if live := self._live.pop(network.id, None):
            live.teardown()

    def live(self, network: Network) -> LiveNetwork:
        """Return what a network is in the kernel; raises `Unavailable` if it could not be set up."""
        if live := self._live.get(network.id):
            return live
        raise Unavailable(f"network {network.name} is not set up")

    def _has_parent(self, name: str) -> bool:
        """Whether a network that is up is on an interface of the host."""
        return any(isinstance(live, ParentNetwork) and live.parent == name for live in self._live.values())

    @property
    def disturbed(self) -> bool:
        """Whether containers have lost interfaces that nobody remembered."""
        return any(live.disturbed for live in self._live.values())

    def is_live(self, network_id: str) -> bool:
        return network_id in self._live

    def close(self, busy: frozenset[str]) -> None:
        """Leave the networks with these ids to their containers; the others go with the engine."""
        # Idle ones first: an interface that a busy one has too stays.
        for network in sorted(self.all(), key=lambda each: each.id in busy):
            live = self._live.pop(network.id, None)
            if live is None or network.name == DEFAULT:  # the engine sees to that one, which comes last
                continue
            try:
                if network.id in busy:
                    live.close()
                else:
                    live.teardown()
            except ProaError as error:
                _log.error("network %s can not be taken down: %s", network.name, error)
