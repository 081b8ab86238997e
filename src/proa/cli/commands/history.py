"""`proa history`: how an image was made."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.moments import ago
from proa.cli.formatting.tables import ellipsis
from proa.cli.formatting.units import image_size
from proa.cli.platforms import PLATFORM_FLAG, parameter
from proa.ids import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("format", "", "string", "How to show it ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("human", "H", "", "Show sizes and times as people read them", "", True),
    ("no-trunc", "", "", "Do not cut anything off"),
    PLATFORM_FLAG,
    ("quiet", "q", "", "Show IDs only"),
)
_CREATED_BY_LENGTH = 45


def _listing(truncate: bool, human: bool) -> Listing:
    def created_by(entry: Any) -> str:
        text = entry["CreatedBy"].replace("\t", " ")
        return ellipsis(text, _CREATED_BY_LENGTH) if truncate else str(text)

    created = "CREATED" if human else "CREATED AT"
    return Listing(
        "*formatter.historyContext",
        {
            "ID": ("IMAGE", lambda entry: _identifier(entry, truncate)),
            "CreatedAt": ("CREATED AT", _moment),
            "CreatedSince": (created, lambda entry: ago(entry["Created"]) if human else _moment(entry)),
            "CreatedBy": ("CREATED BY", created_by),
            "Size": ("SIZE", lambda entry: image_size(entry["Size"]) if human else str(entry["Size"])),
            "Comment": ("COMMENT", lambda entry: entry["Comment"]),
        },
        ("ID", "CreatedSince", "CreatedBy", "Size", "Comment"),
    )


def _identifier(entry: Any, truncate: bool) -> str:
    return short(entry["Id"]) if truncate else str(entry["Id"])


def _moment(entry: Any) -> str:
    """Return local RFC 3339, "" for the zero time."""
    import time

    created = entry["Created"]
    if created <= 0:
        return ""
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(created))
    return text[:-5] + "Z" if text.endswith("+0000") else f"{text[:-2]}:{text[-2:]}"


def _run(invocation: Invocation) -> None:
    platform = {"platform": parameter(invocation["platform"])} if invocation["platform"] else {}
    entries = invocation.client.get(f"/images/{invocation.arguments[0]}/history", **platform)
    truncate = not invocation["no-trunc"]
    if invocation["quiet"] and not invocation["format"]:
        invocation.print(*(_identifier(entry, truncate) for entry in entries))
        return
    invocation.print(*_listing(truncate, invocation["human"]).lines(entries, invocation["format"]))


COMMAND = Command(_run, "[OPTIONS] IMAGE", flags=_FLAGS, least=1, most=1)
