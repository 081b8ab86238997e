"""`proa ps`: containers, as a table or by a template."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.moments import ago, local
from proa.cli.formatting.tables import ellipsis
from proa.cli.formatting.units import image_size
from proa.cli.options.filters import FLAG, parameter
from proa.ids import SHORT_LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("all", "a", "", "Show all containers, not only those that run"),
    FLAG,
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("last", "n", "int", "Show the last n containers made, in any state", "", -1),
    ("latest", "l", "", "Show the last container made, in any state"),
    ("no-trunc", "", "", "Do not cut anything off"),
    ("quiet", "q", "", "Show IDs only"),
    ("size", "s", "", "Show sizes"),
)
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_COMMAND_LENGTH = 20
_MOUNT_LENGTH = 15


def listing(truncate: bool) -> Listing:
    def command(container: Any) -> str:
        text = container["Command"]
        text = ellipsis(text, _COMMAND_LENGTH) if truncate else text
        if text.isprintable() and '"' not in text and "\\" not in text:
            return f'"{text}"'
        from proa.templates.printing import quoted

        return quoted(text)

    return Listing(
        "*formatter.ContainerContext",
        {
            "ID": ("CONTAINER ID", lambda one: one["Id"][:SHORT_LENGTH] if truncate else one["Id"]),
            "Names": ("NAMES", lambda one: _names(one, truncate)),
            "Image": ("IMAGE", lambda one: _image(one, truncate)),
            "Command": ("COMMAND", command),
            "CreatedAt": ("CREATED AT", lambda one: local(one["Created"])),
            "RunningFor": ("CREATED", lambda one: ago(one["Created"])),
            "Ports": ("PORTS", lambda one: ports(one.get("Ports") or [])),
            "State": ("STATE", lambda one: one["State"]),
            "Status": ("STATUS", lambda one: one["Status"]),
            "Size": ("SIZE", _size),
            "Labels": ("LABELS", lambda one: _pairs(one.get("Labels"))),
            "Label": ("", lambda one, name: (one.get("Labels") or {}).get(name, "")),
            "Mounts": ("MOUNTS", lambda one: _mounts(one, truncate)),
            "LocalVolumes": ("LOCAL VOLUMES", lambda one: str(_local_volumes(one))),
            "Networks": ("NETWORKS", lambda one: ",".join(sorted(_networks(one)))),
            "Platform": ("PLATFORM", lambda one: None),
        },
        _COLUMNS,
        raw=(
            ("container_id", "ID"), ("image", "Image"), ("command", "Command"), ("created_at", "CreatedAt"),
            ("state", "State"), ("status", "Status"), ("names", "Names"), ("labels", "Labels"), ("ports", "Ports"),
            ("size", "Size"),
        ),
        problems=("failed to parse template", "failed to execute template"),
    )  # fmt: skip


def _names(container: Any, truncate: bool) -> str:
    names = [name.removeprefix("/") for name in container.get("Names") or []]
    if truncate:
        names = [name for name in names if "/" not in name] or names  # the others are names by links
    return ",".join(names)


def _image(container: Any, truncate: bool) -> str:
    """The name that was asked for; the short identifier when that name is another image's now."""
    name = container["Image"]
    if not name:
        return "<no image>"
    if truncate and name in (container["ImageID"], container["ImageID"].rpartition(":")[2]):
        return str(name.rpartition(":")[2][:SHORT_LENGTH])
    return str(name.partition("@")[0] if truncate else name)


def _size(container: Any) -> str:
    own, whole = container.get("SizeRw", 0), container.get("SizeRootFs", 0)
    return image_size(own) + (f" (virtual {image_size(whole)})" if whole else "")


def _pairs(labels: dict[str, str] | None) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items()))


def _mounts(container: Any, truncate: bool) -> str:
    names = [mount.get("Name") or mount.get("Source", "") for mount in container.get("Mounts") or []]
    return ",".join(ellipsis(name, _MOUNT_LENGTH) if truncate else name for name in names)


def _local_volumes(container: Any) -> int:
    return sum(mount.get("Driver") == "local" for mount in container.get("Mounts") or [])


def _networks(container: Any) -> dict[str, Any]:
    return dict((container.get("NetworkSettings") or {}).get("Networks") or {})


def ports(entries: list[Any]) -> str:
    """Return "80/tcp, 0.0.0.0:90-91->90-91/tcp, 0.0.0.0:8080->81/tcp".

    Neighbouring ports are joined where they have the same number on both sides; the others come last.
    """
    groups: dict[tuple[str, str], list[int]] = {}  # (address, protocol): first and last port
    done, others = [], []
    key = ("PrivatePort", "IP", "PublicPort", "Type")
    for entry in sorted(entries, key=lambda one: [(one.get(name) is not None, one.get(name)) for name in key]):
        port, address, protocol = entry["PrivatePort"], entry.get("IP", ""), entry.get("Type", "tcp")
        if address and entry.get("PublicPort") != port:
            others.append(f"{_host(address)}:{entry.get('PublicPort', 0)}->{port}/{protocol}")
            continue
        group = groups.get((address, protocol))
        if group is None:
            groups[address, protocol] = [port, port]
        elif port == group[1] + 1:
            group[1] = port
        else:
            done.append(_port_group(address, protocol, *group))
            group[:] = [port, port]
    done += [_port_group(*who, *group) for who, group in groups.items()]
    return ", ".join([*done, *others])


def _port_group(address: str, protocol: str, first: int, last: int) -> str:
    numbers = str(first) if first == last else f"{first}-{last}"
    return f"{_host(address)}:{numbers}->{numbers}/{protocol}" if address else f"{numbers}/{protocol}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _run(invocation: Invocation) -> None:
    parameters = parameter(invocation["filter"])
    last = 1 if invocation["latest"] and invocation["last"] == -1 else invocation["last"]
    form = invocation["format"] or ("" if invocation["quiet"] else invocation.config.get("psFormat", ""))
    if invocation["all"]:
        parameters["all"] = "1"
    if last != -1:
        parameters["limit"] = str(last)
    if invocation["size"] or ".Size" in form or "json ." in form:
        parameters["size"] = "1"
    containers = invocation.client.get("/containers/json", **parameters)
    if invocation["quiet"] and form:
        invocation.warn("WARNING: Ignoring custom format, because both --format and --quiet are set.")
    if invocation["quiet"] and form != "raw":
        invocation.print(
            *(one["Id"] if invocation["no-trunc"] else one["Id"][:SHORT_LENGTH] for one in containers)
        )
        return
    columns = (*_COLUMNS, "Size") if invocation["size"] else _COLUMNS
    shown = listing(not invocation["no-trunc"])
    invocation.print(*shown.lines(containers, form, columns, quiet=invocation["quiet"]))


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
