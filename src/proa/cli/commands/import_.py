"""`proa import`: an image of a tar archive, read from a file, standard input or, by the engine, from a URL."""

from __future__ import annotations

import os
import sys

from proa.cli.command import ANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("change", "c", "list", "Apply a Dockerfile instruction to the image"),
    ("message", "m", "string", "What this is"),
    ("platform", "", "string", "Platform of the image (os/architecture/variant)"),
)


def _run(invocation: Invocation) -> None:
    from proa.cli.commands.commit import repository_and_tag
    from proa.cli.copying.input import opened, pieces
    from proa.cli.formatting.progress import show

    source, *names = invocation.arguments[:2]
    parameters = repository_and_tag(names[0] if names else "")
    if invocation["message"]:
        parameters["message"] = invocation["message"]
    if invocation["change"]:
        parameters["changes"] = "\n".join(invocation["change"])
    platform = invocation["platform"] or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    if platform:
        parameters["platform"] = platform
    remote = source.startswith(("http://", "https://"))
    parameters["fromSrc"] = source if remote else "-"
    body = None if remote else pieces(opened(source), source)
    headers = {} if remote else {"Content-Type": "application/x-tar"}
    show(invocation.client.stream("POST", "/images/create", parameters, body, headers), sys.stdout)


COMMAND = Command(_run, "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]", flags=_FLAGS, least=1, most=ANY)
