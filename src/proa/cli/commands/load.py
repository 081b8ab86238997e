"""`proa load`: images from a tar archive, of a file or standard input."""

from __future__ import annotations

import sys

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("input", "i", "string", "Read from a tar archive, not from standard input"),
    ("platform", "", "string", "Load the image for this platform (os/architecture/variant)"),
    ("quiet", "q", "", "Do not show what is read"),
)


def _run(invocation: Invocation) -> None:
    from proa.cli.copying.input import opened, pieces
    from proa.cli.formatting.progress import show

    parameters = {}
    if invocation["platform"]:
        from proa.cli.platforms import parameter

        parameters["platform"] = parameter(invocation["platform"])
    path = invocation["input"]
    if not path and sys.stdin.isatty():
        # Most likely somebody forgot the redirection: there is nothing to wait for.
        raise Failure("requested load from stdin, but stdin is empty")
    if invocation["quiet"] or not sys.stdout.isatty():
        parameters["quiet"] = "1"
    headers = {"Content-Type": "application/x-tar"}
    body = pieces(opened(path or "-"), path)
    show(invocation.client.stream("POST", "/images/load", parameters, body, headers), sys.stdout)


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
