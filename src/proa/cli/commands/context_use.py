"""`proa context use`: which engine docker and Proa talk to from now on."""

from __future__ import annotations

import os

from proa.cli.command import Command
from proa.cli.contexts import check_name, store
from proa.client.address import DEFAULT_CONTEXT
from proa.client.configuration import change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    name = invocation.arguments[0]
    check_name(name)
    if name != DEFAULT_CONTEXT:
        store().endpoint(name)  # to be told now when there is none
    if name != invocation.config.get("currentContext", DEFAULT_CONTEXT):
        choose(name)
    invocation.print(name)
    invocation.warn(f'Current context is now "{name}"')
    for variable in ("PROA_HOST", "DOCKER_HOST"):
        if name != DEFAULT_CONTEXT and os.environ.get(variable):
            invocation.warn(
                f"Warning: {variable} environment variable overrides the active context. "
                f'To use "{name}", either set the global --context flag, or unset {variable} environment variable.'
            )


def choose(name: str) -> None:
    """Write down the context in use; the default one by writing none."""

    def edit(config: dict[str, Any]) -> None:
        if name == DEFAULT_CONTEXT:
            config.pop("currentContext", None)
        else:
            config["currentContext"] = name

    change(os.environ, edit)


COMMAND = Command(_run, "CONTEXT", least=1, most=1)
