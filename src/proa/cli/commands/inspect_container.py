"""`proa container inspect`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.inspection import FORMAT_FLAG, SIZE_FLAG, container, inspect, of_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> int:
    parameters = {"size": "1"} if invocation["size"] else {}
    return inspect(invocation, of_engine(invocation, container, parameters), invocation["format"])


COMMAND = Command(_run, "[OPTIONS] CONTAINER [CONTAINER...]", flags=(FORMAT_FLAG, SIZE_FLAG), least=1, most=ANY)
