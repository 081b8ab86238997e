"""Names of containers on user-defined networks: who has the engine's name server, and what it says of each.

A companion of containers' places. A container gets the server with its first place on a user-defined network (with
egress rules, on any), before its program runs, and keeps it to its end, as its resolv.conf names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from proa.engine import resolv_conf
from proa.engine.name_service import Known, NameService
from proa.engine.networks import egress, naming
from proa.engine.networks.records import Network
from proa.engine.records import Container, EndpointRecord
from proa.engine.resolv_conf import Embedded, HostFile
from proa.engine.settings import Settings
from proa.errors import KernelError
from proa.network.name_sockets import NameSockets

if TYPE_CHECKING:
    from proa.engine.networks.networks import Networks


class Resolution:
    """Tells the name service of one engine what becomes of containers and their places."""

    def __init__(
        self,
        service: NameService,
        networks: Networks,
        settings: Settings,
        containers: Callable[[], Iterable[Container]],
    ) -> None:
        self._service = service
        self._networks = networks
        self._settings = settings
        self._containers = containers
        self._offered: dict[str, NameSockets] = {}

    def is_wanted(self, record: Container) -> bool:
        """Whether a starting container is to have the name server: it has a place where there are names."""
        return any(place.attached and _is_served(record, place) for place in record.endpoints.values())

    def embedded(self, record: Container) -> Embedded:
        """Return what its resolv.conf says, and whom its name server asks."""
        options, settings = record.options, self._settings
        return resolv_conf.embedded(
            HostFile.read(),
            options.dns or settings.dns,
            options.dns_search or settings.dns_search,
            options.dns_options or settings.dns_options,
        )

    # --- the life of a place ----------------------------------------------------------------------------

    def offer(self, record: Container, sockets: NameSockets | None) -> None:
        """Take sockets that are open already in the namespace of a container that is about to start."""
        self._withdraw(record)
        if sockets:
            self._offered[record.id] = sockets

    def _withdraw(self, record: Container) -> None:
        if sockets := self._offered.pop(record.id, None):
            sockets.close()

    async def begin(self, record: Container, endpoint: EndpointRecord, network: Network, namespace: str) -> None:
        if self._service.knows(record.id):
            self.changed(record)
        elif _is_served(record, endpoint):
            known = Known(self._describe(record), namespace)
            if record.running:
                known.pid, known.namespace = record.state.pid, f"/proc/{record.state.pid}/ns/net"
            try:
                await self._service.add(record.id, known, self._offered.pop(record.id, None))
            except OSError as error:
                operation = error.filename or "open sockets"
                raise KernelError(f"set up the name server: {operation}", error.errno or 0) from error

    def resume(self, record: Container, endpoint: EndpointRecord, network: Network) -> None:
        """Nothing: `start` takes up all containers."""

    def end(self, record: Container, endpoint: EndpointRecord, network: Network | None) -> None:
        self._withdraw(record)
        if record.running:
            self.changed(record, without=endpoint)
        else:
            self._service.drop(record.id)

    # --- the life of a container ------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what runs already."""
        running = (record for record in self._containers() if record.running)
        await self._service.start({record.id: self._known(record) for record in running if self._has_it(record)})

    def started(self, record: Container) -> None:
        """A container's first process is there."""
        self._service.started(record.id, record.state.pid)

    def changed(self, record: Container, without: EndpointRecord | None = None) -> None:
        """A container that runs has another name, or one place more or less."""
        if self._service.knows(record.id):
            self._service.change(record.id, self._describe(record, without))

    def _known(self, record: Container) -> Known:
        pid = record.state.pid
        return Known(self._describe(record), f"/proc/{pid}/ns/net", pid)

    def _has_it(self, record: Container) -> bool:
        """Whether a running container's resolv.conf names the server, its own and not another container's."""
        if record.options.network_mode.startswith("container:"):
            return False
        path = self._settings.runtime_directory(record.id) / "resolv.conf"
        try:
            return self.is_wanted(record) or resolv_conf.is_embedded(path.read_text(errors="replace"))
        except FileNotFoundError:
            return False

    def _describe(self, record: Container, without: EndpointRecord | None = None) -> dict[str, Any]:
        """Return a container as `proa.dns.protocol` has it; names are looked up in its places in this order."""
        places = [
            (place, network)
            for place in record.endpoints.values()
            if place.attached and place is not without and (network := self._networks.of(place))
        ]
        places.sort(key=lambda each: (-each[0].wishes.gateway_priority, each[1].internal, each[1].name))
        embedded = self.embedded(record)
        description = {
            "endpoints": [_endpoint(record, place) for place, _ in places if naming.has_names(place)],
            "servers": embedded.servers,
            "forwards": any(not network.internal for _, network in places),
            "short": embedded.short,
        }
        if record.options.egress is not None:
            description["egress"] = egress.described(record, [place for place, _ in places])
        return description


def _is_served(record: Container, place: EndpointRecord) -> bool:
    """Whether a place is one with the name server: there are names on the network, or egress rules to be kept."""
    return naming.has_names(place) or (record.options.egress is not None and bool(place.device))


def _endpoint(record: Container, place: EndpointRecord) -> dict[str, Any]:
    links = (link.rpartition(":") if ":" in link else (link, "", link) for link in place.wishes.links)
    return {
        "network": place.network_id,
        "name": place.network,
        "names": naming.names(record, place),
        "addresses": [address for address in (place.address, place.address6) if address],
        "links": {alias: name.removeprefix("/") for name, _, alias in links},
    }
