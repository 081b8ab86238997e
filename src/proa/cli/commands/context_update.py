"""`proa context update`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.contexts import FLAGS, check_new_name, endpoint, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    name = invocation.arguments[0]
    check_new_name(name)
    contexts = store()
    context = contexts.load(name)
    if invocation["description"]:
        context.metadata["Description"] = invocation["description"]
    if invocation["docker"]:
        context.endpoint, context.tls = endpoint(invocation, invocation["docker"])
    contexts.save(context)
    invocation.print(name)
    invocation.warn(f'Successfully updated context "{name}"')


COMMAND = Command(_run, "[OPTIONS] CONTEXT", flags=FLAGS, least=1, most=1)
