"""`proa volume prune`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.pruning import FILTER_FLAG, FORCE_FLAG, conditions, prune
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("all", "a", "", "Remove volumes that have a name, too"), FILTER_FLAG, FORCE_FLAG)


def _run(invocation: Invocation) -> None:
    wanted = conditions(invocation)
    what = "anonymous local volumes"
    if invocation["all"]:
        if any(name == "all" for name, _ in wanted):
            raise InvalidArgument("conflicting options: cannot specify both --all and --filter all=1")
        wanted.append(("all", "true"))
        what = "all local volumes"
    prune(invocation, "volumes", f"{what} not used by at least one container", wanted)


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
