"""`proa snapshot ls`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.moments import ago, seconds_of
from proa.cli.formatting.units import bytes_size
from proa.ids import SHORT_LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("no-trunc", "", "", "Do not cut anything off"),
    ("quiet", "q", "", "Show names only"),
)


def _listing(truncate: bool) -> Listing:
    return Listing(
        "*formatter.snapshotContext",
        {
            "ID": ("SNAPSHOT ID", lambda one: one["Id"][:SHORT_LENGTH] if truncate else one["Id"]),
            "Name": ("NAME", lambda one: one["Name"]),
            "CreatedAt": ("CREATED AT", lambda one: one["Created"]),
            "CreatedSince": ("CREATED", lambda one: ago(seconds_of(one["Created"]))),
            "Size": ("SIZE", lambda one: bytes_size(one["Size"])),
        },
        ("Name", "ID", "CreatedSince", "Size"),
    )


def _run(invocation: Invocation) -> None:
    found = invocation.client.get(f"/proa/containers/{invocation.arguments[0]}/snapshots")
    if invocation["quiet"]:
        invocation.print(*(one["Name"] for one in found))
        return
    invocation.print(*_listing(not invocation["no-trunc"]).lines(found, invocation["format"]))


COMMAND = Command(_run, "[OPTIONS] CONTAINER", flags=_FLAGS, least=1, most=1)
