"""`proa rm`."""

from __future__ import annotations

from proa.cli.command import ANY, Command, each
from proa.cli.errors import Failure
from proa.client.errors import DaemonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation
    from proa.errors import ProaError

_FLAGS = (
    ("force", "f", "", "Kill a container that runs"),
    ("link", "l", "", "Remove a link between containers"),
    ("volumes", "v", "", "Remove the container's anonymous volumes, too"),
)
NOT_FOUND = 404


def _run(invocation: Invocation) -> int:
    flags = (("force", "force"), ("link", "link"), ("volumes", "v"))
    parameters = {parameter: "1" for flag, parameter in flags if invocation[flag]}

    def remove(name: str) -> None:
        name = name.strip("/")
        if not name:
            raise Failure("container name cannot be empty")
        invocation.client.delete(f"/containers/{name}", **parameters)

    # With --force what is not there is as it was wanted: reported, but no failure.
    return each(invocation, remove, tolerate=_missing if invocation["force"] else None)


def _missing(error: ProaError) -> bool:
    return isinstance(error, DaemonError) and error.status == NOT_FOUND


COMMAND = Command(_run, "[OPTIONS] CONTAINER [CONTAINER...]", flags=_FLAGS, least=1, most=ANY)
