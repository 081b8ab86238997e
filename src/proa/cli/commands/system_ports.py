"""`proa system ports`: which ports of this host lead to containers, and who gets at them."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.ids import SHORT_LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("no-trunc", "", "", "Do not cut anything off"),
)
_EVERYBODY = {"0.0.0.0": "everybody, by IPv4", "::": "everybody, by IPv6"}
_WHOLE_HOST = "host"  # network mode
_BY_INPUT = "host-input"  # publish policy


def _ports(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def _host_port(one: Any) -> str:
    if not one["Port"]:
        return "(routed)" if one["Routed"] else "(the host's network)"
    address = f"[{one['Address']}]" if ":" in one["Address"] else one["Address"]
    return f"{address}:{_ports(one['Port'], one['Count'])}/{one['Protocol']}"


def _open_to(one: Any) -> str:
    address = one["Address"]
    if one["Routed"]:
        return f"{_EVERYBODY[address]}, with a route to it"
    if not one["Port"]:
        return "whoever reaches what it listens at"
    if address == "::1" or address.startswith("127."):
        return "this host"
    who = _EVERYBODY.get(address) or f"who reaches {address}"
    return f"{who}, by the host's INPUT rules" if one["Policy"] == _BY_INPUT else who


def _listing(truncate: bool) -> Listing:
    return Listing(
        "*formatter.portContext",
        {
            "HostPort": ("HOST PORT", _host_port),
            "OpenTo": ("OPEN TO", _open_to),
            "Policy": ("POLICY", lambda one: one["Policy"]),
            "Container": ("CONTAINER", lambda one: one["Container"]),
            "ContainerPort": (
                "CONTAINER PORT",
                lambda one: (
                    f"{_ports(one['ContainerPort'], one['Count'])}/{one['Protocol']}" if one["Protocol"] else "any"
                ),
            ),
            "ID": ("CONTAINER ID", lambda one: one["Id"][:SHORT_LENGTH] if truncate else one["Id"]),
        },
        ("HostPort", "OpenTo", "Container", "ContainerPort"),
    )


def _entries(containers: list[Any]) -> list[dict[str, Any]]:
    """Return one entry for each run of ports that leads to one container."""
    found: list[dict[str, Any]] = []
    for container in containers:
        names = [name.removeprefix("/") for name in container["Names"]]
        owner = {
            "Container": names[0] if names else "", "Id": container["Id"],
            "Policy": (container.get("NetworkSettings") or {}).get("PublishPolicy", ""),
        }  # fmt: skip
        if container["HostConfig"]["NetworkMode"] == _WHOLE_HOST:
            found.append(
                {
                    **owner,
                    "Address": "",
                    "Port": 0,
                    "Protocol": "",
                    "ContainerPort": 0,
                    "Count": 1,
                    "Routed": False,
                }
            )
        published = [port for port in container.get("Ports") or [] if port.get("IP")]
        published.sort(key=lambda port: (port["IP"], port["Type"], port.get("PublicPort", 0), port["PrivatePort"]))
        for port in published:
            entry = {
                **owner, "Address": port["IP"], "Port": port.get("PublicPort", 0), "Protocol": port["Type"],
                "ContainerPort": port["PrivatePort"], "Count": 1, "Routed": "PublicPort" not in port,
            }  # fmt: skip
            if found and _continues(found[-1], entry):
                found[-1]["Count"] += 1
            else:
                found.append(entry)
    # As a reader looks for them: ports in order, of one port the widest opening first.
    return sorted(
        found, key=lambda one: (one["Port"], one["Protocol"], one["Address"] not in _EVERYBODY, one["Address"])
    )


def _continues(last: dict[str, Any], entry: dict[str, Any]) -> bool:
    same = all(last[name] == entry[name] for name in ("Id", "Address", "Protocol"))
    following = ("ContainerPort",) if last["Routed"] and entry["Routed"] else ("Port", "ContainerPort")
    return same and all(last[name] + last["Count"] == entry[name] for name in following)


def _run(invocation: Invocation) -> None:
    entries = _entries(invocation.client.get("/containers/json"))
    invocation.print(*_listing(not invocation["no-trunc"]).lines(entries, invocation["format"]))


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
