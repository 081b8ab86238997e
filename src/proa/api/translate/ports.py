"""Published ports: from a create body, with Docker's checks, and as `inspect`, `ps` and the list show them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from proa.api.types import host_config as wire
from proa.api.types.containers import CreateBody
from proa.engine.containers import publish_policy
from proa.engine.containers.republish import joined
from proa.engine.options import PortBinding
from proa.engine.records import Container
from proa.errors import InvalidArgument
from proa.network.published import PROTOCOLS, Published

_HIGHEST = 65535
_DEFAULT_PROTOCOL = "tcp"
_WITHOUT_PORTS = ("host", "none")  # network modes


def bindings(port_bindings: dict[str, list[wire.PortBinding]]) -> list[PortBinding]:
    """Return what PortBindings asks for, ranges joined; `InvalidArgument` in Docker's words.

    Docker leaves out a port whose address it does not understand ("localhost"), or rather publishes it to the
    world; that is refused here.
    """
    single = []
    for port, listed in port_bindings.items():
        if not listed:
            _check_unbound(port)
            continue
        protocol, number = _container_port(port)
        single += [_binding(protocol, number, given) for given in listed or ()]
    return joined(single)


def policy(annotations: dict[str, str], labels: dict[str, str]) -> str:
    """Return the publish policy that an annotation or a label asks for: Docker's body has no such field."""
    asked = annotations.get(publish_policy.NAME) or labels.get(publish_policy.NAME) or ""
    publish_policy.check(asked)
    return asked


def check_shared(body: CreateBody) -> None:
    """Refuse ports of a container that has no network of its own, as Docker does."""
    for given, what in (
        (body.host_config.port_bindings or body.host_config.publish_all_ports, "port publishing"),
        (body.exposed_ports, "port exposing"),
    ):
        if given:
            raise InvalidArgument(f"conflicting options: {what} and the container type network mode")


def _check_unbound(port: str) -> None:
    """Refuse a port that nothing is bound to if it is no number; Docker looks no closer."""
    number = port.partition("/")[0]
    if number.strip("0"):
        _number(number, number)


def _container_port(text: str) -> tuple[str, int]:
    """Return protocol and number of "80/tcp" or "80"."""
    number, _, protocol = text.partition("/")
    protocol = protocol.lower() or _DEFAULT_PROTOCOL
    if protocol not in PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    return protocol, _number(number, number)


def _binding(protocol: str, port: int, given: wire.PortBinding) -> PortBinding:
    first, last = _host_ports(given.host_port)
    return PortBinding(
        protocol=protocol,
        port=port,
        host_address=_address(given.host_ip),
        first=first,
        last=last,
    )


def _host_ports(text: str) -> tuple[int, int]:
    """Return the first and last port of "8080", "8000-8010", or 0 and 0 for any one."""
    ports = text.partition("/")[0]
    if not ports or ports == "0":
        return 0, 0
    first, dash, last = ports.partition("-")
    low = _number(first, text)
    high = _number(last, text) if dash else low
    if high < low:
        raise _invalid(text)
    return low, high


def _number(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) <= _HIGHEST:
        raise _invalid(whole)
    return int(text)


def _invalid(text: str) -> InvalidArgument:
    return InvalidArgument(f'invalid port specification: "{text}"')


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidArgument(f"invalid IP address: {text}") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise InvalidArgument(f"invalid IP address: {text}")
        return str(address.ipv4_mapped or address)
    return str(address)


def expanded(ports: list[str]) -> Iterator[str]:
    """Yield single ports for ranges: "8000-8001/tcp" is two."""
    for port in ports:
        numbers, _, protocol = port.partition("/")
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield f"{number}/{protocol or _DEFAULT_PROTOCOL}"


def port_map(record: Container) -> dict[str, list[dict[str, str]] | None]:
    """Return `NetworkSettings.Ports` of a running container: exposed ports, and where they are published."""
    if not record.running or not record.endpoints or record.options.network_mode in _WITHOUT_PORTS:
        return {}
    found: dict[str, list[dict[str, str]] | None] = dict.fromkeys(expanded(record.options.exposed_ports))
    for port, run, host_port in _published(record):
        key = f"{port}/{run.protocol}"
        listed = found.get(key) or []
        found[key] = [*listed, {"HostIp": run.host_address, "HostPort": str(host_port or "")}]
    return dict(sorted(found.items()))


def port_list(record: Container) -> list[dict[str, Any]]:
    """Return `Ports` of the container list."""
    found: list[dict[str, Any]] = []
    for port, hosts in port_map(record).items():
        number, _, protocol = port.partition("/")
        if hosts is None:
            found.append({"PrivatePort": int(number), "Type": protocol})
            continue
        found += (
            {
                "IP": each["HostIp"],
                "PrivatePort": int(number),
                **({"PublicPort": int(each["HostPort"])} if each["HostPort"] else {}),
                "Type": protocol,
            }
            for each in hosts
        )
    return found


def policy_in_force(record: Container) -> dict[str, str]:
    """Return what `NetworkSettings` says of a container with published ports beyond Docker's fields."""
    return {"PublishPolicy": record.publish_policy} if record.publish_policy and port_map(record) else {}


def _published(record: Container) -> Iterator[tuple[int, Published, int]]:
    """Yield (container's port, run, host's port), ordered as Docker does: of a port, IPv4 comes before IPv6."""
    for run in sorted(record.ports, key=lambda run: (run.host_port, ":" in run.host_address)):
        for step in range(run.count):
            yield run.port + step, run, 0 if run.is_routed else run.host_port + step
