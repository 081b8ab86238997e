"""`proa save`: images as a tar archive."""

from __future__ import annotations

import sys

from proa.cli.command import ANY, Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("output", "o", "string", "Write to a file, not to standard output"),
    ("platform", "", "string", "Save the image for this platform (os/architecture/variant)"),
)


def _run(invocation: Invocation) -> None:
    from proa.cli.copying.output import check_path, written

    parameters: dict[str, str | list[str]] = {"names": list(invocation.arguments)}
    if invocation["platform"]:
        from proa.cli.platforms import parameter

        parameters["platform"] = parameter(invocation["platform"])
    path = invocation["output"]
    if not path and sys.stdout.isatty():
        raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if path:
        check_path(path, "failed to save image")
    written(invocation.client.request("GET", "/images/get", parameters), path)


COMMAND = Command(_run, "[OPTIONS] IMAGE [IMAGE...]", flags=_FLAGS, least=1, most=ANY)
