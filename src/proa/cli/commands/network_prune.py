"""`proa network prune`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.pruning import FILTER_FLAG, FORCE_FLAG, conditions, prune

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    wanted = conditions(invocation)
    prune(invocation, "networks", "all custom networks not used by at least one container", wanted)


COMMAND = Command(_run, "[OPTIONS]", flags=(FILTER_FLAG, FORCE_FLAG))
