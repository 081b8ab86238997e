"""The networks an engine has: Docker's three predefined ones, of which `bridge` is real."""

from __future__ import annotations

import msgspec

from proa import ids, times, wording
from proa.engine.database import Database
from proa.network.default_bridge import DefaultBridge


class Network(msgspec.Struct, kw_only=True):
    """A network as `inspect` shows it; `subnet` and `gateway` are "" without addresses."""

    id: str
    name: str
    driver: str
    created: int  # nanoseconds since the epoch
    scope: str = "local"
    subnet: str = ""
    gateway: str = ""
    options: dict[str, str] = {}


_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}


class Networks:
    """Networks by name, id or unique prefix; their ids stay the same for the life of the data root."""

    def __init__(self, database: Database) -> None:
        self._database = database
        rows = database.rows("SELECT record FROM networks")
        self._networks = {
            network.name: network for (data,) in rows for network in [msgspec.json.decode(data, type=Network)]
        }
        with database.transaction():
            for name, driver in _DRIVERS.items():
                if name not in self._networks:
                    self._save(Network(id=ids.new_id(), name=name, driver=driver, created=times.now()))

    def _save(self, network: Network) -> None:
        self._networks[network.name] = network
        self._database.execute(
            "INSERT INTO networks (id, name, record) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            (network.id, network.name, msgspec.json.encode(network)),
        )

    def describe_bridge(self, bridge: DefaultBridge) -> None:
        """Record what the default bridge turned out to be."""
        network = self._networks["bridge"]
        gateway = bridge.gateway
        network.subnet, network.gateway = str(gateway.network), str(gateway.ip)
        network.options = {
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.enable_icc": "true",
            "com.docker.network.bridge.enable_ip_masquerade": "true",
            "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
            "com.docker.network.bridge.name": bridge.name,
            "com.docker.network.driver.mtu": str(bridge.mtu),
        }
        self._save(network)

    def all(self) -> list[Network]:
        return list(self._networks.values())

    def get(self, name: str) -> Network:
        """Find a network; raises `NotFound` in Docker's words."""
        if network := self._networks.get(name):
            return network
        matches = [item for item in self._networks.values() if name and item.id.startswith(name)]
        if len(matches) != 1:
            raise wording.no_such_network(name)
        return matches[0]
