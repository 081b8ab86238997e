"""Published ports of containers: claimed before the program starts, led to it, given back at its end.

The network that a container's default route leads to gets its ports, for IPv4 and IPv6 each. The sockets that
claim them go to the container's shim and live as long as it; what leads packets is the firewall. So ports
outlive the engine, and nothing is left of them when a container has ended, whoever sees it. Of the state the
record is enough: an engine that starts leads the ports of running containers again. Under the publish policy
host-input (`publish_policy.py`) nothing is led: all connections come to the sockets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from proa import wording
from proa.engine.containers import publish_policy
from proa.engine.containers.port_wishes import asked_for, wanted, wishes
from proa.engine.containers.shims import ShimError, ShimGone
from proa.engine.networks import routes
from proa.engine.networks.drivers import bridge_name, gateway_mode
from proa.engine.networks.records import DEFAULT, Network
from proa.engine.records import Container, EndpointRecord
from proa.errors import Internal, ProaError, Unsupported
from proa.linux.packets import MAX_DESCRIPTORS
from proa.network.claims import BindFailure, Claim, Wish, claim, host_has_ipv6
from proa.network.firewall import ROUTED
from proa.network.ports import Ports
from proa.network.published import ANY4, ANY6, Mapping, Published, runs

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers
    from proa.engine.containers.shims import ShimConnection
    from proa.engine.options import ContainerOptions

_Leading = tuple[EndpointRecord | None, EndpointRecord | None]  # of IPv4 and of IPv6
_MOST_SOCKETS = 2  # of a claim
_AT_ONCE = 1000  # ports named in one message
_DRIVER = "bridge"  # of networks whose containers are behind this host
_DEFAULT_ADDRESS = "com.docker.network.bridge.host_binding_ipv4"
_log = logging.getLogger(__name__)


class Publishing:
    """The companion of `engine/networks/companions.py` that sees to ports."""

    def __init__(self, containers: Containers, ports: Ports) -> None:
        self._containers = containers
        self._ports = ports

    async def begin(self, record: Container, endpoint: EndpointRecord, network: Network, namespace: str) -> None:
        """Publish a container's ports with the last of the places that they lead to; move them if they are."""
        if not wanted(record.options):
            return
        leading = self._leading(record)
        if record.ports and not any(leading):
            # The new place leads, and is on no bridge: nothing comes to the container by this host any more.
            self._ports.withdraw(_mappings(record.ports, self._leading(record, without=endpoint)))
            record.ports = []
            self._containers.later(self._give_back(record))
        if not _is_among(endpoint, leading) or not all(place.attached for place in leading if place):
            return
        try:
            if record.ports:
                await self._move(record, leading)
            else:
                record.ports = await self._publish(record, leading, record.options)
        except ProaError as error:
            raise wording.connectivity_failed(record.name, endpoint.endpoint_id, error.message) from error

    def resume(self, record: Container, endpoint: EndpointRecord, network: Network) -> None:
        """Lead ports again, whose sockets have been with the shim all the time."""
        leading = self._leading(record)
        if not record.ports or not _is_among(endpoint, leading):
            return
        mappings = _mappings(record.ports, leading)
        record.publish_policy = self._policy(record, leading)
        if record.publish_policy == "direct":
            self._ports.lead(mappings, self._bridge(leading))
            return
        self._ports.withdraw(mappings)  # an earlier engine may have led datagrams that go on flowing
        try:
            publish_policy.check_relayed(record.ports)
        except Unsupported as error:
            _log.warning("container %s: %s", record.name, error.message)

    def end(self, record: Container, endpoint: EndpointRecord, network: Network | None) -> None:
        """Lead ports nowhere, or to the network that is left to a container that goes on."""
        if not record.ports:
            if record.running and wanted(record.options) and any(self._leading(record)):
                self._containers.later(self._publish_again(record))
            return
        before = self._leading(record, also=endpoint)
        if not record.running:
            self._ports.withdraw(_mappings(record.ports, before))
            record.ports = []
            return
        if not _is_among(endpoint, before):
            return
        self._ports.withdraw(_mappings(record.ports, before))
        left = self._leading(record)
        if any(left):
            self._containers.later(self._move(record, left))
        else:
            record.ports = []
            self._containers.later(self._give_back(record))

    async def _publish_again(self, record: Container) -> None:
        """Publish the ports of a container that goes on, where a place on no bridge has led until now."""
        async with self._containers.lock(record):
            leading = self._leading(record)
            if record.running and not record.ports and any(leading):
                record.ports = await self._publish(record, leading, record.options)
                self._containers.store.save(record)

    def _leading(
        self, record: Container, also: EndpointRecord | None = None, without: EndpointRecord | None = None
    ) -> _Leading:
        """Return the places that the ports of IPv4 and of IPv6 lead to: where the default routes lead.

        `also` is a place that the record may have no more, `without` one that it had not before.
        """
        networks = self._containers.networks
        named = {place.network: place for place in (*record.endpoints.values(), *([also] if also else ()))}
        if without:
            named.pop(without.network, None)
        places = [(place, network) for name, place in named.items() if (network := networks.named(name))]
        bridged = {network.name for _, network in places if network.driver == _DRIVER}
        v4, v6 = (named[name] if name in bridged else None for name in routes.choose(places))
        return v4, v6

    async def add(self, record: Container, wanted: ContainerOptions) -> None:
        """Publish also what `wanted` says, for a container that runs."""
        leading = self._leading(record)
        if not any(leading):
            return
        try:
            record.ports = [*record.ports, *await self._publish(record, leading, wanted)]
        except ProaError as error:
            endpoint = leading[0] or leading[1]
            raise wording.connectivity_failed(
                record.name, endpoint.endpoint_id if endpoint else "", error.message
            ) from error

    async def take_away(self, record: Container, unwanted: Sequence[Published]) -> None:
        """Publish some ports of a running container no more; its record does not have them any more."""
        await asyncio.wrap_future(self._ports.withdraw(_mappings(unwanted, self._leading(record))))
        await self._drop(record, unwanted)

    async def settle(self) -> None:
        """Let shims hold what the records of running containers say: an engine may have been killed in between."""
        for record in self._containers.all():
            run = self._containers.runs.get(record.id)
            if not record.running or run is None or run.connection is None:
                continue
            leading = self._leading(record)
            if record.ports and not any(leading):
                record.ports = []
                self._containers.store.save(record)
            try:
                await run.connection.request(
                    "ports", ports=[], keep=_sockets(record.ports), addresses=_addresses(leading)
                )
            except (ShimError, ShimGone) as error:
                _log.warning("container %s: its ports can not be settled: %s", record.name, error)

    async def _publish(self, record: Container, leading: _Leading, options: ContainerOptions) -> list[Published]:
        target = _addresses(leading)
        record.publish_policy = self._policy(record, leading)
        if record.publish_policy != "direct":
            publish_policy.check_relayed(asked_for(options))
        published: list[Published] = []
        ports: list[Published] = []
        claims = self._claims(record, options, leading, target, published)
        try:
            while batch := _take(claims):
                await self._hand_over(record, batch, target)
            ports = _in_order(published)
            if ports:
                await self._lead(record, ports, leading)
        except BaseException:
            self._ports.withdraw(_mappings(ports, leading))  # also what is led just now
            if record.running:
                self._containers.later(self._drop(record, published))
            raise
        return ports

    def _claims(
        self,
        record: Container,
        options: ContainerOptions,
        leading: _Leading,
        target: tuple[str, str],
        published: list[Published],
    ) -> Iterator[Claim]:
        """Claim what is wished for, and note it in `published`; raises `Internal` in Docker's words."""
        for whole in wishes(options, self._host_addresses(leading), target):
            routed, wish = self._split(whole, leading)
            published += routed
            if not wish.host_addresses:
                yield Claim([], routed)
                continue
            try:
                for each in claim(wish, self._ports.ephemeral):
                    published += each.published
                    yield each
            except BindFailure as failure:
                raise self._explained(wish, target, published, failure) from failure

    def _split(self, wish: Wish, leading: _Leading) -> tuple[list[Published], Wish]:
        """Return what is published without a port of the host, and what is left of a wish for such ports.

        What is routed is for everybody who has a route, whatever address of the host was named, as with Docker.
        """
        v4, v6 = (self._is_routed(place, version) for place, version in zip(leading, (4, 6), strict=True))
        routed: list[str] = []
        claimed: list[str] = []
        for address in wish.host_addresses:
            if ":" not in address:
                (routed if v4 else claimed).append(address)
            elif leading[1]:
                (routed if v6 else claimed).append(address)
            elif not v4:  # else nothing: by IPv6, only the relay leads to a container with IPv4 alone
                claimed.append(address)
        families = [ANY6 if ":" in address else ANY4 for address in routed]
        runs = [Published(wish.protocol, each, 0, wish.port, wish.count) for each in families]
        return runs, replace(wish, host_addresses=tuple(claimed))

    def _is_routed(self, place: EndpointRecord | None, version: int) -> bool:
        network = self._containers.networks.named(place.network) if place else None
        return network is not None and gateway_mode(network, version) == ROUTED

    async def _hand_over(self, record: Container, batch: list[Claim], target: tuple[str, str]) -> None:
        sockets = [(each, one.published[0].port) for one in batch for each in one.sockets]
        try:
            await self._connection(record).request(
                "ports",
                descriptors=[socket.fileno() for socket, _ in sockets],
                ports=[port for _, port in sockets],
                addresses=target,
            )
        finally:
            for one in batch:
                one.close()

    def _explained(
        self, wish: Wish, target: tuple[str, str], own: list[Published], failure: BindFailure
    ) -> Internal:
        others = [run for other in self._containers.all() for run in other.ports]
        for run in (*others, *own):
            if run.overlaps(wish.protocol, failure.address, failure.port):
                if wish.is_choice or not wish.first:
                    return wording.all_ports_allocated()
                return wording.port_allocated(run.host_address, failure.port)
        address = target[1] if ":" in failure.address and target[1] else target[0] or target[1]
        ports = f"{wish.first}-{wish.last}" if wish.is_choice else str(failure.port)
        return wording.cannot_bind(
            f"{_bracketed(failure.address)}:{ports}",
            f"{_bracketed(address)}:{wish.port}/{wish.protocol}",
            failure.reason,
            chosen=str(failure.port) if wish.is_choice else "",
        )

    def _policy(self, record: Container, leading: _Leading) -> str:
        default = self._containers.settings.publish_policy
        return publish_policy.policy(record.options, self._network(leading), default)

    def _network(self, leading: _Leading) -> Network | None:
        place = leading[0] or leading[1]
        return self._containers.networks.named(place.network) if place else None

    def _host_addresses(self, leading: _Leading) -> tuple[str, ...]:
        """Return the host's addresses for ports that name none."""
        network = self._network(leading)
        default = network.options.get(_DEFAULT_ADDRESS, ANY4) if network else ANY4
        if default != ANY4:
            return (default,)
        return (ANY4, ANY6) if host_has_ipv6() else (ANY4,)

    async def _move(self, record: Container, leading: _Leading) -> None:
        """Lead the ports of a running container to other places of it."""
        record.publish_policy = self._policy(record, leading)
        await self._connection(record).request("ports", ports=[], addresses=_addresses(leading))
        await self._lead(record, record.ports, leading)

    async def _lead(self, record: Container, ports: Sequence[Published], leading: _Leading) -> None:
        if record.publish_policy != "direct":
            return
        await asyncio.wrap_future(self._ports.lead(_mappings(ports, leading), self._bridge(leading)))

    async def _give_back(self, record: Container) -> None:
        """Let the shim hold no ports, when the record without them is written: a crash before loses none."""
        async with self._containers.lock(record):
            if record.running and not record.ports:
                await self._connection(record).request("ports", ports=[])

    async def _drop(self, record: Container, ports: Sequence[Published]) -> None:
        """Give some ports back; those that no socket holds are no error."""
        sockets = _sockets(ports)
        for start in range(0, len(sockets), _AT_ONCE):
            await self._connection(record).request("ports", drop=sockets[start : start + _AT_ONCE])

    def _connection(self, record: Container) -> ShimConnection:
        connection = self._containers.runs[record.id].connection
        if connection is None:
            raise wording.not_running(record.id)
        return connection

    def _bridge(self, leading: _Leading) -> str:
        """Return the bridge that packets to 127.0.0.1 leave by, "" when there is none."""
        place = leading[0]
        network = self._containers.networks.named(place.network) if place else None
        if network is None:
            return ""
        return self._containers.bridge.name if network.name == DEFAULT else bridge_name(network)


def without(ports: Sequence[Published], unwanted: Sequence[Published]) -> list[Published]:
    """Return the ports that are left."""
    gone = set(unwanted)
    return _in_order([each for run in ports for each in run.single() if each not in gone])


def _sockets(ports: Sequence[Published]) -> list[tuple[str, str, int]]:
    """Return protocol, address and port of what a shim may hold for ports."""
    return [(run.protocol, run.host_address, each.host_port) for run in ports for each in run.single()]


def _in_order(ports: Sequence[Published]) -> list[Published]:
    return runs(sorted(ports, key=lambda each: (each.protocol, each.host_address, each.port)))


def _is_among(endpoint: EndpointRecord, leading: _Leading) -> bool:
    return any(place is endpoint for place in leading)


def _addresses(leading: _Leading) -> tuple[str, str]:
    """Return where ports lead to: the container's addresses of IPv4 and IPv6, "" where there is none."""
    v4, v6 = leading
    return (v4.address if v4 else "", v6.address6 if v6 else "")


def _mappings(ports: Sequence[Published], leading: _Leading) -> list[Mapping]:
    return [Mapping(run, *_addresses(leading)) for run in ports]


def _take(claims: Iterator[Claim]) -> list[Claim]:
    """Return as many claims as can go to a shim at once, [] when there are no more."""
    batch: list[Claim] = []
    sockets = 0
    try:
        for each in claims:
            batch.append(each)
            sockets += len(each.sockets)
            if sockets + _MOST_SOCKETS > MAX_DESCRIPTORS:
                break
    except BaseException:
        for each in batch:
            each.close()
        raise
    return batch


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
