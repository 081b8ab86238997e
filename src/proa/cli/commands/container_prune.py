"""`proa container prune`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.pruning import FILTER_FLAG, FORCE_FLAG, conditions, prune

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    prune(invocation, "containers", "all stopped containers", conditions(invocation))


COMMAND = Command(_run, "[OPTIONS]", flags=(FILTER_FLAG, FORCE_FLAG))
