"""`proa context create`: a name for an engine."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.contexts import DEFAULT_DESCRIPTION, FLAGS, check_new_name, endpoint, get, store
from proa.client.address import DEFAULT_CONTEXT
from proa.client.contexts import Context
from proa.errors import Conflict, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (*FLAGS, ("from", "", "string", "Begin with another context"))


def _run(invocation: Invocation) -> None:
    name = invocation.arguments[0]
    check_new_name(name)
    contexts = store()
    if contexts.exists(name):
        raise Conflict(f'context "{name}" already exists')
    contexts.save(_context(invocation, name))
    invocation.print(name)
    invocation.warn(f'Successfully created context "{name}"')


def _context(invocation: Invocation, name: str) -> Context:
    """Without `--docker` it is a copy of another, that of the environment unless `--from` says which."""
    description = invocation["description"]
    if invocation["docker"]:
        if invocation["from"]:
            raise InvalidArgument("cannot use --docker flag when --from is set")
        metadata = {"Description": description} if description else {}
        return Context(name, metadata, *endpoint(invocation, invocation["docker"]))
    source = get(invocation, invocation["from"] or DEFAULT_CONTEXT)
    metadata = dict(source.metadata)
    if source.name == DEFAULT_CONTEXT:
        metadata["Description"] = DEFAULT_DESCRIPTION
    if description:
        metadata["Description"] = description
    return Context(name, metadata, source.endpoint, source.tls)


COMMAND = Command(_run, "[OPTIONS] CONTEXT", flags=_FLAGS, least=1, most=1)
