"""`proa context ls`."""

from __future__ import annotations

import os

from proa.cli.command import Command
from proa.cli.contexts import DEFAULT_DESCRIPTION, default, store
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.order import natural
from proa.cli.formatting.tables import ellipsis
from proa.client.address import DEFAULT_CONTEXT
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("quiet", "q", "", "Show names only"),
)
_ERROR_LENGTH = 45
_LISTING = Listing(
    "*formatter.clientContextContext",
    {
        "Current": ("", lambda one: one["Current"]),
        "Description": ("DESCRIPTION", lambda one: one["Description"]),
        "DockerEndpoint": ("DOCKER ENDPOINT", lambda one: one["DockerEndpoint"]),
        "Error": ("ERROR", lambda one: ellipsis(one["Error"], _ERROR_LENGTH)),
        "Name": ("NAME", lambda one: one["Name"]),
    },
    (),
)
_TABLE = "table {{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}"


def _row(invocation: Invocation, name: str, current: str) -> dict[str, Any]:
    row = {"Name": name, "Current": name == current, "Description": "", "DockerEndpoint": "", "Error": ""}
    try:
        context = default(invocation) if name == DEFAULT_CONTEXT else store().load(name)
    except ProaError as error:
        return {**row, "Error": error.message}
    described = DEFAULT_DESCRIPTION if name == DEFAULT_CONTEXT else context.description
    return {**row, "Description": described, "DockerEndpoint": context.endpoint["Host"]}


def _run(invocation: Invocation) -> None:
    current = invocation.context
    names = sorted({*store().names(), DEFAULT_CONTEXT, current}, key=natural)
    if invocation["quiet"]:
        invocation.print(*names)
        return
    form = invocation["format"]
    rows = [_row(invocation, name, current) for name in names]
    invocation.print(*_LISTING.lines(rows, _TABLE if form in ("", "table") else form))
    for variable in ("PROA_HOST", "DOCKER_HOST"):
        if os.environ.get(variable):
            invocation.warn(
                f"Warning: {variable} environment variable overrides the active context. To use a context, "
                f"either set the global --context flag, or unset {variable} environment variable."
            )


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
