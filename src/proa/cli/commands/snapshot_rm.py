"""`proa snapshot rm`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> int:
    container, *snapshots = invocation.arguments
    errors = []
    for snapshot in snapshots:
        try:
            invocation.client.delete(f"/proa/containers/{container}/snapshots", snapshot=snapshot)
        except ProaError as error:
            errors.append(error)
        else:
            invocation.print(snapshot)
    for failure in errors:
        invocation.warn(str(failure))
    return int(bool(errors))


COMMAND = Command(_run, "CONTAINER SNAPSHOT [SNAPSHOT...]", least=2, most=ANY)
