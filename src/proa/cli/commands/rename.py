"""`proa rename`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    old, new = (name.strip() for name in invocation.arguments)
    if not old or not new:
        raise Failure("Error: Neither old nor new names may be empty")
    try:
        invocation.client.post(f"/containers/{old}/rename", None, name=new)
    except ProaError as error:
        raise Failure(f"{error}\nError: failed to rename container named {old}") from error


COMMAND = Command(_run, "CONTAINER NEW_NAME", least=2, most=2)
