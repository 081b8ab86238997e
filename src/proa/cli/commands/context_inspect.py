"""`proa context inspect`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.contexts import get, store
from proa.cli.inspection import FORMAT_FLAG, inspect
from proa.client.address import DEFAULT_CONTEXT
from proa.client.contexts import ENDPOINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_IN_MEMORY = "<IN MEMORY>"


def _run(invocation: Invocation) -> int:
    contexts = store()

    def found(name: str) -> dict[str, Any]:
        context = get(invocation, name)
        kept = name != DEFAULT_CONTEXT
        return {
            **context.document,
            "TLSMaterial": {ENDPOINT: sorted(context.tls)} if context.tls else {},
            "Storage": {
                "MetadataPath": contexts.metadata_path(name) if kept else _IN_MEMORY,
                "TLSPath": contexts.tls_path(name) if kept else _IN_MEMORY,
            },
        }

    invocation.arguments = invocation.arguments or [invocation.context]
    return inspect(invocation, found, invocation["format"], escape=True)


COMMAND = Command(_run, "[OPTIONS] [CONTEXT] [CONTEXT...]", flags=(FORMAT_FLAG,), most=ANY)
