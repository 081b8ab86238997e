"""`proa wait`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> int:
    errors = []
    for name in invocation.arguments:
        try:
            invocation.print(str(invocation.client.post(f"/containers/{name}/wait")["StatusCode"]))
        except ProaError as error:
            errors.append(str(error))
    for text in errors:
        invocation.warn(text)
    return 1 if errors else 0


COMMAND = Command(_run, "CONTAINER [CONTAINER...]", least=1, most=ANY)
