"""`proa network inspect`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.inspection import FORMAT_FLAG, inspect, network, of_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> int:
    return inspect(invocation, of_engine(invocation, network), invocation["format"])


COMMAND = Command(_run, "[OPTIONS] NETWORK [NETWORK...]", flags=(FORMAT_FLAG,), least=1, most=ANY)
