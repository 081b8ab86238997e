"""`proa network connect`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("alias", "", "strings", "Another name of the container on the network"),
    ("driver-opt", "", "strings", "Option of the network's driver (name=value)"),
    ("gw-priority", "", "int", "The container's default route leads to the network with the highest"),
    ("ip", "", "string", "IPv4 address of the container"),
    ("ip6", "", "string", "IPv6 address of the container"),
    ("link", "", "list", "What another container is called by this one (name:alias)", "networks.link"),
    ("link-local-ip", "", "strings", "Link-local address of the container, beside the network's"),
)


def _run(invocation: Invocation) -> None:
    network, container = invocation.arguments
    addresses = {"IPv4Address": invocation["ip"], "IPv6Address": invocation["ip6"]}
    if invocation["link-local-ip"]:
        addresses["LinkLocalIPs"] = invocation["link-local-ip"]
    settings: dict[str, Any] = {
        "IPAMConfig": {name: value for name, value in addresses.items() if value},
        "Links": invocation["link"],
        "Aliases": invocation["alias"],
        "DriverOpts": _driver_options(invocation["driver-opt"]),
        "GwPriority": invocation["gw-priority"],
    }
    body = {"Container": container, "EndpointConfig": settings}
    invocation.client.post(f"/networks/{network}/connect", body)


def _driver_options(words: list[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidArgument("invalid key/value pair format in driver options")
        found[name.strip()] = value.strip()
    return found


COMMAND = Command(_run, "[OPTIONS] NETWORK CONTAINER", flags=_FLAGS, least=2, most=2)
