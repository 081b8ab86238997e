"""`proa network create`."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("attachable", "", "", "Let containers that are no service's use a swarm's network"),
    ("aux-address", "", "map", "Addresses in the subnets that no container gets (name=address)"),
    ("config-from", "", "string", "Take the configuration from this network"),
    ("config-only", "", "", "Make a configuration for other networks only"),
    ("driver", "d", "string", "What makes the network: bridge, macvlan, ipvlan", "", "bridge"),
    ("gateway", "", "strings", "Address of the network's bridge, or of its router, in the subnet"),
    ("ingress", "", "", "Make the routing mesh of a swarm"),
    ("internal", "", "", "Let nothing of the network out or in"),
    ("ip-range", "", "strings", "Part of the subnet that containers get their addresses from"),
    ("ipam-driver", "", "string", "What chooses addresses", "", "default"),
    ("ipam-opt", "", "map", "Options of what chooses addresses (name=value)"),
    ("ipv4", "", "", "Have IPv4 on it", "", True),
    ("ipv6", "", "", "Have IPv6 on it"),
    ("label", "", "list", "Set a label (name=value)", "environment.label"),
    ("opt", "o", "map", "Options of the driver (name=value)"),
    ("scope", "", "string", "Where the network is known"),
    ("subnet", "", "strings", "Addresses of the network, in CIDR form"),
)


def _run(invocation: Invocation) -> None:
    from proa.cli.options import addressing
    from proa.cli.options.environment import mapping

    options = invocation.options
    body: dict[str, Any] = {
        "Name": invocation.arguments[0],
        "Driver": options["driver"],
        "Options": mapping(options["opt"]),
        "IPAM": {
            "Driver": options["ipam-driver"],
            "Options": mapping(options["ipam-opt"]),
            "Config": addressing.config(options),
        },
        "Internal": options["internal"],
        "Attachable": options["attachable"],
        "Ingress": options["ingress"],
        "Scope": options["scope"],
        "ConfigOnly": options["config-only"],
        "Labels": mapping(options["label"]),
    }
    for flag, field in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if options.given(flag):
            body[field] = options[flag]
    if options["config-from"]:
        body["ConfigFrom"] = {"Network": options["config-from"]}
    invocation.print(invocation.client.post("/networks/create", body)["Id"])


COMMAND = Command(_run, "[OPTIONS] NETWORK", flags=_FLAGS, least=1, most=1)
