"""`proa network ls`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.order import natural
from proa.cli.options.filters import FLAG, parameter
from proa.ids import SHORT_LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    FLAG,
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("no-trunc", "", "", "Do not cut anything off"),
    ("quiet", "q", "", "Show IDs only"),
)


def _truth(value: Any) -> str:
    return "true" if value else "false"


def _created(network: Any) -> str:
    """Return Go's form of the time, "2026-01-02 03:04:05.6 +0000 UTC"."""
    text = str(network.get("Created", ""))
    return text.replace("T", " ", 1).replace("Z", " +0000 UTC")


def _listing(truncate: bool) -> Listing:
    return Listing(
        "*formatter.networkContext",
        {
            "ID": ("NETWORK ID", lambda one: one["Id"][:SHORT_LENGTH] if truncate else one["Id"]),
            "Name": ("NAME", lambda one: one["Name"]),
            "Driver": ("DRIVER", lambda one: one["Driver"]),
            "Scope": ("SCOPE", lambda one: one["Scope"]),
            "IPv4": ("IPV4", lambda one: _truth(one.get("EnableIPv4", True))),
            "IPv6": ("IPV6", lambda one: _truth(one.get("EnableIPv6"))),
            "Internal": ("INTERNAL", lambda one: _truth(one.get("Internal"))),
            "Labels": ("LABELS", lambda one: ",".join(
                f"{name}={value}" for name, value in sorted((one.get("Labels") or {}).items())
            )),
            "Label": ("", lambda one, name: (one.get("Labels") or {}).get(name, "")),
            "CreatedAt": ("CREATED AT", _created),
        },
        ("ID", "Name", "Driver", "Scope"),
        raw=(("network_id", "ID"), ("name", "Name"), ("driver", "Driver"), ("scope", "Scope")),
    )  # fmt: skip


def _run(invocation: Invocation) -> None:
    networks = invocation.client.get("/networks", **parameter(invocation["filter"]))
    networks.sort(key=lambda network: natural(network["Name"]))
    truncate = not invocation["no-trunc"]
    if invocation["quiet"] and not invocation["format"]:
        invocation.print(*(one["Id"][:SHORT_LENGTH] if truncate else one["Id"] for one in networks))
        return
    form = invocation["format"] or invocation.config.get("networksFormat", "")
    invocation.print(*_listing(truncate).lines(networks, form, quiet=invocation["quiet"]))


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
