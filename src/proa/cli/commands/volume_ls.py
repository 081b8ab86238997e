"""`proa volume ls`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.order import natural
from proa.cli.options.filters import FLAG, parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("cluster", "", "", "Show volumes of a swarm only"),
    FLAG,
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("quiet", "q", "", "Show names only"),
)
_NOT_KNOWN = "N/A"
_CLUSTER_COLUMNS = ("Name", "Group", "Driver", "Availability", "Status")


def _labels(volume: Any) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted((volume.get("Labels") or {}).items()))


def _usage(field: str) -> Any:
    def show(volume: Any) -> str:
        if not volume.get("UsageData"):
            return _NOT_KNOWN
        value = volume["UsageData"].get(field, -1)
        from proa.cli.formatting.units import bytes_size

        return bytes_size(value) if field == "Size" else str(value)

    return show


LISTING = Listing(
    "*formatter.volumeContext",
    {
        "Driver": ("DRIVER", lambda volume: volume["Driver"]),
        "Name": ("VOLUME NAME", lambda volume: volume["Name"]),
        "Scope": ("SCOPE", lambda volume: volume["Scope"]),
        "Mountpoint": ("MOUNTPOINT", lambda volume: volume["Mountpoint"]),
        "Labels": ("LABELS", _labels),
        "Label": ("", lambda volume, name: (volume.get("Labels") or {}).get(name, "")),
        "Links": ("LINKS", _usage("RefCount")),
        "Size": ("SIZE", _usage("Size")),
        "Status": ("STATUS", lambda volume: _NOT_KNOWN),
        "Availability": ("AVAILABILITY", lambda volume: _NOT_KNOWN),
        "Group": ("GROUP", lambda volume: _NOT_KNOWN),
    },
    ("Driver", "Name"),
    raw=(("name", "Name"), ("driver", "Driver")),
)


def _run(invocation: Invocation) -> None:
    volumes = invocation.client.get("/volumes", **parameter(invocation["filter"]))["Volumes"] or []
    columns: tuple[str, ...] = ()
    if invocation["cluster"]:
        volumes = [volume for volume in volumes if volume.get("ClusterVolume")]
        columns = _CLUSTER_COLUMNS
    volumes.sort(key=lambda volume: natural(volume["Name"]))
    if invocation["quiet"] and not invocation["format"]:
        invocation.print(*(volume["Name"] for volume in volumes))
        return
    form = invocation["format"] or invocation.config.get("volumesFormat", "")
    invocation.print(*LISTING.lines(volumes, form, columns, quiet=invocation["quiet"]))


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
