"""`--network` and what goes with it: addresses, aliases, links, hosts, published and exposed ports."""

from __future__ import annotations

import ipaddress

from proa.cli.options.mounts import fields
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.flags import Options

_PROTOCOLS = ("tcp", "udp", "sctp")
_NETWORK_KEYS = {
    "alias": "Aliases", "ip": "IPv4Address", "ip6": "IPv6Address", "mac-address": "MacAddress",
    "link-local-ip": "LinkLocalIPs", "driver-opt": "DriverOpts", "gw-priority": "GwPriority",
}  # fmt: skip
_ADDRESSES = ("IPv4Address", "IPv6Address", "LinkLocalIPs")  # sent in a group of their own
_MAX_PORT = 65535


def address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"IP address is not correctly formatted: {text}") from None


def domain(text: str) -> str:
    name = text.strip(" ")
    if name == ".":
        return name
    labels = name.removesuffix(".").split(".")
    if len(name) > 255 or not all(_is_label(label) for label in labels):
        raise ValueError(f"{text} is not a valid domain")
    return name


def _is_label(label: str) -> bool:
    plain = label.replace("-", "").replace("_", "")
    return label.isascii() and plain.isalnum() and label[0] != "-" and label[-1] != "-" and len(label) < 64


def extra_host(text: str) -> str:
    """Return "name:address" of "name:address" or "name=address". Raises `ValueError`."""
    equals, colon = text.find("="), text.find(":")
    position = equals if equals >= 0 and (colon < 0 or equals < colon) else colon
    name, value = text[:position], text[position + 1 :]
    if position < 1 or not value:
        raise ValueError(f'bad format for add-host: "{text}"')
    if value == "host-gateway":
        return f"{name}:{value}"
    if value[0] == "[" and value[-1] == "]":
        value = value[1:-1]
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f'invalid IP address in add-host: "{value}"') from None
    return f"{name}:{value}"


def link(text: str) -> str:
    parts = text.split(":")
    if not text or len(parts) > 2:
        raise ValueError(f"bad format for links: {text}" if text else "empty string specified for links")
    return text


def network(text: str) -> dict[str, Any]:
    """Return {"Target": name, endpoint settings…} of "name" or "name=…,alias=…". Raises `ValueError`."""
    if "=" not in text:
        if not text:
            raise ValueError("network name/id is not specified")
        return {"Target": text}
    result: dict[str, Any] = {}
    for field in fields(text):
        key, separator, value = field.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not separator:
            raise ValueError(f"invalid field {field} must be a key=value pair")
        if key == "name":
            result["Target"] = value
        elif key in ("alias", "link-local-ip"):
            result.setdefault(_NETWORK_KEYS[key], []).append(value)
        elif key == "driver-opt":
            name, equals, content = value.partition("=")
            if not equals:
                raise ValueError("invalid key value pair format in driver options")
            result.setdefault("DriverOpts", {})[name.strip().lower()] = content.strip()
        elif key == "gw-priority":
            result["GwPriority"] = _priority(value)
        elif key in _NETWORK_KEYS:
            result[_NETWORK_KEYS[key]] = value
        else:
            raise ValueError(f"invalid field key {key}")
    if not result.get("Target"):
        raise ValueError("network name/id is not specified")
    return result


def _priority(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"invalid gw-priority ({text}): invalid syntax") from None


def networks_body(options: Options, body: dict[str, Any]) -> None:
    """The first network is the container's mode; addresses and aliases of single flags belong to it."""
    networks = [dict(one) for one in options["network"]] or [{"Target": "default"}]
    first = networks[0]
    body["HostConfig"]["NetworkMode"] = first["Target"]
    for flag, field in (("ip", "IPv4Address"), ("ip6", "IPv6Address"), ("mac-address", "MacAddress")):
        if options[flag]:
            _refuse_second(first, field, flag)
            first[field] = _mac(options[flag]) if flag == "mac-address" else options[flag]
    for flag, field in (("network-alias", "Aliases"), ("link-local-ip", "LinkLocalIPs"), ("link", "Links")):
        if options[flag]:
            _refuse_second(first, field, flag)
            first[field] = options[flag]
    if options["link"] and first["Target"] in ("default", "bridge"):
        body["HostConfig"]["Links"] = first.pop("Links")
    if first.get("Aliases") and not _is_user_defined(first["Target"]):
        raise InvalidArgument("network-scoped aliases are only supported for user-defined networks")
    if len({_is_user_defined(one["Target"]) for one in networks}) > 1:
        raise InvalidArgument(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        )
    seen: dict[str, Any] = {}
    for one in networks:
        target = one.pop("Target")
        addresses = {field: one.pop(field) for field in _ADDRESSES if field in one}
        if addresses:
            one["IPAMConfig"] = addresses
        if target in seen:
            raise InvalidArgument(f'network "{target}" is specified multiple times')
        seen[target] = one
    if any(seen.values()) or len(seen) > 1:
        body["NetworkingConfig"] = {"EndpointsConfig": seen}
    elif options["network"] and not next(iter(seen)).startswith("container:"):
        body["NetworkingConfig"] = {"EndpointsConfig": {next(iter(seen)): {}}}


def _is_user_defined(target: str) -> bool:
    return target not in ("default", "bridge", "host", "none") and not target.startswith("container:")


def _refuse_second(settings: dict[str, Any], field: str, flag: str) -> None:
    if field in settings:
        words = {
            "ip": "IPv4 address", "ip6": "IPv6 address", "mac-address": "MAC address", "network-alias": "alias",
            "link-local-ip": "link-local IP addresses", "link": "links",
        }  # fmt: skip
        what = words.get(flag, flag)
        raise InvalidArgument(f"conflicting options: cannot specify both --{flag} and per-network {what}")


def _mac(text: str) -> str:
    digits = text.replace("-", ":").split(":")
    if len(digits) != 6 or not all(len(two) == 2 and _is_hexadecimal(two) for two in digits):
        raise InvalidArgument(f"{text} is not a valid mac address")
    return text


def _is_hexadecimal(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


def ports_body(options: Options, body: dict[str, Any]) -> None:
    """`--expose` and `--publish`. Raises `InvalidArgument` in the words of docker's nat package."""
    exposed: dict[str, Any] = {}
    bindings = port_bindings(options["publish"])
    exposed.update((port, {}) for port in bindings)
    for text in options["expose"]:
        if ":" in text:
            raise InvalidArgument(f"invalid port format for --expose: {text}")
        ports, protocol = _protocol(text)
        first, last = _range(ports, _expose_problem(text, ports))
        exposed.update({f"{port}/{protocol}": {} for port in range(first, last + 1)})
    body["ExposedPorts"] = exposed
    if bindings:
        body["HostConfig"]["PortBindings"] = bindings


def port_bindings(texts: list[str]) -> dict[str, list[dict[str, str]]]:
    """Return PortBindings of what `--publish` takes. Raises `InvalidArgument`."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for text in texts:
        for port, binding in _published(text):
            bindings.setdefault(port, []).append(binding)
    return bindings


def _expose_problem(text: str, ports: str) -> str:
    syntax = f'strconv.ParseUint: parsing "{ports}": invalid syntax'
    return f"invalid range format for --expose: {text}, error: {syntax}"


def _published(text: str) -> list[tuple[str, dict[str, str]]]:
    if "=" in text:
        text = _from_fields(text)
    ports, protocol = _protocol(text)
    rest, _, container = ports.rpartition(":")
    if rest.startswith("["):
        host_address, _, host = rest[1:].partition("]")
        host = host.removeprefix(":")
    else:
        host_address, _, host = rest.rpartition(":")
    if not container:
        raise InvalidArgument(f"no port specified: {text}<empty>")
    if host_address:
        try:
            ipaddress.ip_address(host_address.partition("%")[0])
        except ValueError:
            raise InvalidArgument(f"invalid IP address: {host_address}") from None
    first, last = _range(container, f"invalid containerPort: {container}")
    if not host:
        return [
            (f"{port}/{protocol}", {"HostIp": host_address, "HostPort": ""}) for port in range(first, last + 1)
        ]
    host_first, host_last = _range(host, f"invalid hostPort: {host}")
    if first == last and host_first != host_last:
        return [(f"{first}/{protocol}", {"HostIp": host_address, "HostPort": host})]
    if last - first != host_last - host_first:
        raise InvalidArgument(f"invalid ranges specified for container and host Ports: {container} and {host}")
    return [
        (f"{first + step}/{protocol}", {"HostIp": host_address, "HostPort": str(host_first + step)})
        for step in range(last - first + 1)
    ]


def _from_fields(text: str) -> str:
    """Return "8080:80/tcp" of "published=8080,target=80,protocol=tcp"."""
    given = {"published": "", "target": "", "protocol": "tcp"}
    for field in text.split(","):
        name, separator, value = field.partition("=")
        if not separator or not name:
            raise InvalidArgument(f"invalid publish opts format (should be name=value but got '{field}')")
        given[name] = value
    return f"{given['published']}:{given['target']}/{given['protocol']}"


def _protocol(text: str) -> tuple[str, str]:
    ports, separator, protocol = text.partition("/")
    protocol = protocol.lower() if separator else "tcp"
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    return ports, protocol


def _range(text: str, message: str) -> tuple[int, int]:
    first, separator, last = text.partition("-")
    last = last if separator else first
    if not (first.isdecimal() and last.isdecimal()) or not 0 <= int(first) <= int(last) <= _MAX_PORT:
        raise InvalidArgument(message)
    return int(first), int(last)
