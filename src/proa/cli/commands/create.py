"""`proa create`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.creation import create, prepare
from proa.cli.errors import Failure
from proa.cli.options.container_flags import FLAGS, REFUSED
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    try:
        config = prepare(invocation)
    except ProaError as error:
        raise Failure(f"proa: {error}\n\nRun '{invocation.name} --help' for more information", 125) from error
    invocation.print(create(invocation, config))


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    flags=FLAGS,
    least=1,
    most=ANY,
    interspersed=False,
    refused=REFUSED,
)
