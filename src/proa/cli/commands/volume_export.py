"""`proa volume export`: what a volume has, as a tar archive."""

from __future__ import annotations

import sys

from proa.cli.command import Command
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("output", "o", "string", 'Write to a file, not to standard output ("-")'),)


def _run(invocation: Invocation) -> None:
    from proa.cli.copying.output import check_path, written

    path = invocation["output"]
    path = "" if path == "-" else path
    if not path and sys.stdout.isatty():
        raise InvalidArgument("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if path:
        check_path(path, "failed to export volume")
    response = invocation.client.request("GET", f"/proa/volumes/{invocation.arguments[0]}/archive")
    written(response, path)


COMMAND = Command(_run, "[OPTIONS] VOLUME", flags=_FLAGS, least=1, most=1)
