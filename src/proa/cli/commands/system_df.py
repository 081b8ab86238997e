"""`proa system df`: what images, containers, volumes and the cache of builds take on the disk."""

from __future__ import annotations

import sys

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.moments import ago, seconds_of
from proa.cli.formatting.units import bytes_size
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.cli.command import Invocation

    Usage = dict[str, Any]

_FLAGS = (
    ("format", "", "string", "How to show it ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("verbose", "v", "", "Show every object"),
)
_ACTIVE_STATES = ("running", "paused", "restarting")
_SHORT = 12  # characters of an identifier of the cache

# The kinds, and what the engine's answer calls them.
_KINDS = (("Images", "Images"), ("Containers", "Containers"), ("Local Volumes", "Volumes"),
          ("Build Cache", "BuildCache"), ("Snapshots", "Snapshots"))  # fmt: skip


class _Sum:
    """One line of the summary: how many objects, how many in use, their bytes, and what could be freed."""

    def __init__(self, kind: str, usage: Usage) -> None:
        self.kind = kind
        objects = usage.get(dict(_KINDS)[kind]) or []
        self.total = len(objects)
        counted = _SUMS[kind](objects, int(usage.get("LayersSize") or 0))
        self.active, self.size, self.reclaimable = counted

    def reclaim(self) -> str:
        text = bytes_size(self.reclaimable)
        if self.kind == "Build Cache" or self.size <= 0:
            return text
        return f"{text} ({self.reclaimable * 100 // self.size}%)"


def _images(images: list[Usage], layers: int) -> tuple[int, int, int]:
    """Layers that several images share count once."""
    used = [image for image in images if image["Containers"] > 0]
    own = sum(
        image["Size"] - image["SharedSize"] for image in used if image["Size"] != -1 and image["SharedSize"] != -1
    )
    return len(used), layers, layers - own


def _containers(containers: list[Usage], _layers: int) -> tuple[int, int, int]:
    active = [one for one in containers if one["State"] in _ACTIVE_STATES]
    sizes = [sum(one.get("SizeRw", 0) for one in some) for some in (containers, active)]
    return len(active), sizes[0], sizes[0] - sizes[1]


def _volumes(volumes: list[Usage], _layers: int) -> tuple[int, int, int]:
    data = [volume.get("UsageData") or {"RefCount": -1, "Size": -1} for volume in volumes]
    known = [one for one in data if one["Size"] != -1]
    unused = sum(one["Size"] for one in known if one["RefCount"] == 0)
    return sum(one["RefCount"] > 0 for one in data), sum(one["Size"] for one in known), unused


def _cache(records: list[Usage], _layers: int) -> tuple[int, int, int]:
    """What is shared with images is counted there."""
    own = [record for record in records if not record["Shared"]]
    unused = sum(record["Size"] for record in own if not record["InUse"])
    return sum(record["InUse"] for record in records), sum(record["Size"] for record in own), unused


def _snapshots(layers: list[Usage], _layers: int) -> tuple[int, int, int]:
    """Layers below those of containers; what only snapshots need can be freed."""
    kept = [layer for layer in layers if not layer["Containers"]]
    return len(layers) - len(kept), sum(layer["Size"] for layer in layers), sum(layer["Size"] for layer in kept)


_SUMS: dict[str, Callable[[list[Usage], int], tuple[int, int, int]]] = {
    "Images": _images, "Containers": _containers, "Local Volumes": _volumes, "Build Cache": _cache,
    "Snapshots": _snapshots,
}  # fmt: skip

_SUMMARY = Listing(
    "*formatter.diskUsageContext",
    {
        "Type": ("TYPE", lambda one: one.kind),
        "TotalCount": ("TOTAL", lambda one: str(one.total)),
        "Active": ("ACTIVE", lambda one: str(one.active)),
        "Size": ("SIZE", lambda one: bytes_size(one.size)),
        "Reclaimable": ("RECLAIMABLE", lambda one: one.reclaim()),
    },
    ("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    raw=(("type", "Type"), ("total", "TotalCount"), ("active", "Active"), ("size", "Size"),
         ("reclaimable", "Reclaimable")),
)  # fmt: skip


def _moment(field: str) -> Callable[[Usage], str]:
    def show(record: Usage) -> str:
        text = str(record.get(field) or "")
        return text.replace("T", " ", 1).replace("Z", " +0000 UTC")

    return show


def _since(field: str) -> Callable[[Usage], str]:
    def show(record: Usage) -> str:
        return ago(seconds_of(str(record[field]))) if record.get(field) else ""

    return show


def _truth(field: str) -> Callable[[Usage], str]:
    return lambda record: str(bool(record.get(field))).lower()


def _cache_listing(truncate: bool) -> Listing:
    def identifier(record: Usage) -> str:
        known = str(record["ID"])
        return (known[:_SHORT] if truncate else known) + ("*" if record["InUse"] else "")

    return Listing(
        "*formatter.buildCacheContext",
        {
            "ID": ("CACHE ID", identifier),
            "Parent": ("PARENT", lambda record: record.get("Parent", "")),
            "CacheType": ("CACHE TYPE", lambda record: record["Type"]),
            "Description": ("DESCRIPTION", lambda record: record.get("Description", "")),
            "Size": ("SIZE", lambda record: bytes_size(record["Size"], 3)),
            "CreatedAt": ("CREATED AT", _moment("CreatedAt")),
            "CreatedSince": ("CREATED", _since("CreatedAt")),
            "LastUsedAt": ("LAST USED AT", _moment("LastUsedAt")),
            "LastUsedSince": ("LAST USED", _since("LastUsedAt")),
            "UsageCount": ("USAGE", lambda record: str(record.get("UsageCount", 0))),
            "InUse": ("IN USE", _truth("InUse")),
            "Shared": ("SHARED", _truth("Shared")),
        },
        ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"),
    )


def _layer_listing(truncate: bool) -> Listing:
    return Listing(
        "*formatter.snapshotLayerContext",
        {
            "ID": ("LAYER ID", lambda layer: layer["Id"][:_SHORT] if truncate else layer["Id"]),
            "Size": ("SIZE", lambda layer: bytes_size(layer["Size"])),
            "Containers": ("CONTAINERS", lambda layer: str(layer["Containers"])),
            "Snapshots": ("SNAPSHOTS", lambda layer: str(layer["Snapshots"])),
        },
        ("ID", "Size", "Containers", "Snapshots"),
    )


class _Section:
    """Every object of a kind: their listing, their rows, and the columns of the table."""

    def __init__(self, title: str, listing: Listing, rows: list[Any], columns: tuple[str, ...]) -> None:
        self.title = title
        self.listing = listing
        self.rows = rows
        self.columns = columns


def _sections(usage: Usage, truncate: bool) -> dict[str, _Section]:
    from proa.cli.commands import images, ps, volume_ls

    named = []
    for image in usage.get("Images") or []:
        repository, _, tag = (image.get("RepoTags") or ["<none>:<none>"])[0].rpartition(":")
        named.append(images.Row(image, repository, tag, ""))
    # Without what the image takes: the sum is to be what the containers do.
    containers = [{**one, "SizeRootFs": 0} for one in usage.get("Containers") or []]
    volumes, cache = usage.get("Volumes") or [], usage.get("BuildCache") or []
    built = bytes_size(_Sum("Build Cache", usage).size)
    sections = {
        "Images": _Section(
            "Images space usage:", images.listing(truncate), named,
            ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"),
        ),
        "Containers": _Section(
            "Containers space usage:", ps.listing(truncate), containers,
            ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"),
        ),
        "Volumes": _Section("Local Volumes space usage:", volume_ls.LISTING, volumes, ("Name", "Links", "Size")),
        "BuildCache": _Section(f"Build cache usage: {built}", _cache_listing(truncate), cache, ()),
    }  # fmt: skip
    if layers := usage.get("Snapshots"):
        sections["Snapshots"] = _Section("Snapshots space usage:", _layer_listing(truncate), layers, ())
    return sections


def _table(usage: Usage) -> list[str]:
    lines = []
    for section in _sections(usage, truncate=True).values():
        lines += ["", section.title, "", *section.listing.lines(section.rows, "", section.columns)]
    return lines[1:]


def _templated(usage: Usage, form: str) -> str:
    from proa.templates.syntax import TemplateError
    from proa.templates.template import Template

    if form.startswith("table ") or form == "raw":
        raise InvalidArgument("with --verbose a format is 'table', 'json' or a Go template")
    data = {
        name: [section.listing.row(one) for one in section.rows]
        for name, section in _sections(usage, truncate=False).items()
    }
    try:
        return Template("{{json .}}" if form == "json" else form).render(data)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error.message}") from None


def _run(invocation: Invocation) -> None:
    usage = invocation.client.get("/system/df")
    form = invocation["format"]
    if not invocation["verbose"]:
        kinds = [kind for kind, name in _KINDS if name != "Snapshots" or usage.get(name)]  # docker has none
        invocation.print(*_SUMMARY.lines([_Sum(kind, usage) for kind in kinds], form))
    elif form in ("", "table"):
        invocation.print(*_table(usage))
    else:
        sys.stdout.write(_templated(usage, form))  # the template says where lines end, as with docker


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
