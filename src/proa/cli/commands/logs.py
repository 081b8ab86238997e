"""`proa logs`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("details", "", "", "Show what the log driver knows besides"),
    ("follow", "f", "", "Go on with what is written from now on"),
    ("since", "", "string", "Show lines since a time (2013-01-02T13:23:37Z) or for a while (42m)"),
    ("tail", "n", "string", "Number of lines to show from the end", "", "all"),
    ("timestamps", "t", "", "Show when a line was written"),
    ("until", "", "string", "Show lines until a time (2013-01-02T13:23:37Z) or a while ago (42m)"),
)


def _run(invocation: Invocation) -> None:
    from proa.client.session import write_all
    from proa.client.stdcopy import STDERR, Demultiplexer

    client = invocation.client
    container = client.get(f"/containers/{invocation.arguments[0]}/json")
    response = client.request("GET", f"/containers/{container['Id']}/logs", _parameters(invocation))
    if container["Config"]["Tty"]:
        for chunk in response.chunks():
            write_all(1, chunk)
        return
    demultiplexer = Demultiplexer()
    for chunk in response.chunks():
        for stream, data in demultiplexer.feed(chunk):
            write_all(2 if stream == STDERR else 1, data)


def _parameters(invocation: Invocation) -> dict[str, str]:
    parameters = {"stdout": "1", "stderr": "1", "tail": invocation["tail"]}
    for flag in ("details", "follow", "timestamps"):
        if invocation[flag]:
            parameters[flag] = "1"
    for flag in ("since", "until"):
        if invocation[flag]:
            from proa.cli.formatting.moments import query_moment

            try:
                parameters[flag] = query_moment(invocation[flag])
            except InvalidArgument as error:
                raise InvalidArgument(f'invalid value for "{flag}": {error}') from None
    return parameters


COMMAND = Command(_run, "[OPTIONS] CONTAINER", flags=_FLAGS, least=1, most=1)
