"""`proa context rm`."""

from __future__ import annotations

from proa.cli.command import ANY, Command, each
from proa.cli.contexts import store
from proa.client.address import DEFAULT_CONTEXT
from proa.errors import Conflict, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("force", "f", "", "Remove a context that is in use, too"),)


def _run(invocation: Invocation) -> int:
    contexts, force, current = store(), invocation["force"], invocation.context

    def remove(name: str) -> None:
        if name == DEFAULT_CONTEXT:
            raise InvalidArgument('context "default" cannot be removed')
        if not contexts.exists(name) and not force:
            raise NotFound(f'context "{name}" does not exist')
        if name == current and not force:
            raise Conflict(f'context "{name}" is in use, set -f flag to force remove')
        if name == invocation.config.get("currentContext"):
            from proa.cli.commands.context_use import choose

            choose(DEFAULT_CONTEXT)
        contexts.remove(name)

    return each(invocation, remove)


COMMAND = Command(_run, "CONTEXT [CONTEXT...]", flags=_FLAGS, least=1, most=ANY)
