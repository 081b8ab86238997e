"""Networks and volumes as docker's templates see them: structures, their fields in the order of Go's types."""

from __future__ import annotations

from proa.templates.values import Absent, Map, Structure, Time, typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Shape = tuple[tuple[str, Any], ...]

_NETWORK: Shape = (
    ("Name", ""), ("Id", ""), ("Created", ""), ("Scope", ""), ("Driver", ""), ("EnableIPv4", False),
    ("EnableIPv6", False), ("IPAM", {}), ("Internal", False), ("Attachable", False), ("Ingress", False),
    ("ConfigFrom", {}), ("ConfigOnly", False), ("Containers", {}), ("Options", {}), ("Labels", {}), ("Peers", []),
    ("Services", {}),
)  # fmt: skip
_SUBNET: Shape = (("Subnet", ""), ("IPRange", ""), ("Gateway", ""), ("AuxiliaryAddresses", {}))
_MEMBER: Shape = (("Name", ""), ("EndpointID", ""), ("MacAddress", ""), ("IPv4Address", ""), ("IPv6Address", ""))
_VOLUME: Shape = (
    ("ClusterVolume", Absent("UsageData")), ("CreatedAt", ""), ("Driver", ""), ("Labels", Absent("Labels")),
    ("Mountpoint", ""), ("Name", ""), ("Options", Absent("Options")), ("Scope", ""), ("Status", Absent("Options")),
    ("UsageData", Absent("UsageData")),
)  # fmt: skip


def network(document: dict[str, Any]) -> Structure:
    """Return what the engine says of a network."""
    found = typed("", document)
    if isinstance(found.get("Created"), str):
        found["Created"] = Time(found["Created"])
    ipam = found.get("IPAM")
    if isinstance(ipam, dict) and ipam.get("Config"):
        ipam["Config"] = [_subnet(each) for each in ipam["Config"]]
    if isinstance(found.get("ConfigFrom"), dict):
        found["ConfigFrom"] = Structure(found["ConfigFrom"], (("Network", ""),))
    members = found.get("Containers") or {}
    found["Containers"] = Map((key, Structure(members[key], _MEMBER)) for key in sorted(members))
    return Structure(found, _NETWORK)


def _subnet(document: dict[str, Any]) -> Structure:
    named = document.get("AuxiliaryAddresses")
    sorted_ = {"AuxiliaryAddresses": Map((key, named[key]) for key in sorted(named))} if named else {}
    return Structure({**document, **sorted_}, _SUBNET)


def volume(document: dict[str, Any]) -> Structure:
    """Return what the engine says of a volume."""
    return Structure(typed("", document), _VOLUME, "volume.Volume")
