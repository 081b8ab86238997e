"""`proa image inspect`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.inspection import FORMAT_FLAG, image, inspect, of_engine
from proa.cli.platforms import PLATFORM_FLAG, encoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> int:
    parameters = {"platform": encoded(invocation["platform"])} if invocation["platform"] else {}
    return inspect(invocation, of_engine(invocation, image, parameters), invocation["format"])


COMMAND = Command(_run, "[OPTIONS] IMAGE [IMAGE...]", flags=(FORMAT_FLAG, PLATFORM_FLAG), least=1, most=ANY)
