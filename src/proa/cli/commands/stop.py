"""`proa stop` and, with another verb, `proa restart`."""

from __future__ import annotations

from proa.cli.command import ANY, Command, each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from proa.cli.command import Invocation

FLAGS = (
    ("signal", "s", "string", "Signal that asks the container to end"),
    ("timeout", "t", "int", "Seconds to wait after it before killing; -1: for ever"),
)
USAGE = "[OPTIONS] CONTAINER [CONTAINER...]"


def ending(verb: str) -> Callable[[Invocation], int]:
    """Return what a command does that ends containers by `POST /containers/…/VERB`."""

    def run(invocation: Invocation) -> int:
        parameters = {}
        if invocation.options.given("timeout"):
            parameters["t"] = str(invocation["timeout"])
        if invocation["signal"]:
            parameters["signal"] = invocation["signal"]
        return each(
            invocation, lambda name: invocation.client.post(f"/containers/{name}/{verb}", None, **parameters)
        )

    return run


COMMAND = Command(ending("stop"), USAGE, flags=FLAGS, least=1, most=ANY)
