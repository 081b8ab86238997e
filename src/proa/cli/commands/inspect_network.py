"""`proa network inspect`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.inspection import FORMAT_FLAG, inspect, network, of_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_VERBOSE = ("verbose", "v", "", "Show what a swarm knows about it, too")


def _run(invocation: Invocation) -> int:
    parameters = {"verbose": "true"} if invocation["verbose"] else {}
    return inspect(invocation, of_engine(invocation, network, parameters), invocation["format"])


COMMAND = Command(_run, "[OPTIONS] NETWORK [NETWORK...]", flags=(FORMAT_FLAG, _VERBOSE), least=1, most=ANY)
