"""`proa volume import`: unpack a tar archive, of a file or standard input, into a volume."""

from __future__ import annotations

import sys

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    from proa.cli.copying.input import opened, pieces

    name, path = invocation.arguments[0], (invocation.arguments[1:] or ["-"])[0]
    if path == "-" and sys.stdin.isatty():
        # Most likely somebody forgot the redirection: there is nothing to wait for.
        raise Failure("requested import from stdin, but stdin is a terminal")
    body = pieces(opened(path), path)
    headers = {"Content-Type": "application/x-tar"}
    client = invocation.client
    client.read(client.request("PUT", f"/proa/volumes/{name}/archive", {}, body, headers))
    invocation.print(name)


COMMAND = Command(_run, "VOLUME [FILE|-]", least=1, most=2)
