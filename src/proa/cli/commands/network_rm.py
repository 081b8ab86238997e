"""`proa network rm`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.client.errors import DaemonError
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("force", "f", "", "Do not complain about networks that do not exist"),)
_NOT_FOUND = 404


def _run(invocation: Invocation) -> int:
    failed = False
    for name in invocation.arguments:
        try:
            invocation.client.delete(f"/networks/{name}")
        except ProaError as error:
            if invocation["force"] and isinstance(error, DaemonError) and error.status == _NOT_FOUND:
                continue
            invocation.warn(str(error))
            failed = True
        else:
            invocation.print(name)
    if failed:
        invocation.warn("exit status 1")  # docker's last word
    return int(failed)


COMMAND = Command(_run, "NETWORK [NETWORK...]", flags=_FLAGS, least=1, most=ANY)
