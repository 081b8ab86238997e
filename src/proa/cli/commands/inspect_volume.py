"""`proa volume inspect`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.inspection import FORMAT_FLAG, inspect, of_engine, volume

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> int:
    return inspect(invocation, of_engine(invocation, volume), invocation["format"])


COMMAND = Command(_run, "[OPTIONS] VOLUME [VOLUME...]", flags=(FORMAT_FLAG,), least=1, most=ANY)
