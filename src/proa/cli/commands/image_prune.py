"""`proa image prune`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.pruning import FILTER_FLAG, FORCE_FLAG, conditions, prune

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("all", "a", "", "Remove images that have a name, too"), FILTER_FLAG, FORCE_FLAG)


def _run(invocation: Invocation) -> None:
    wanted = conditions(invocation)
    wanted.append(("dangling", "false" if invocation["all"] else "true"))
    what = (
        "all images without at least one container associated to them"
        if invocation["all"]
        else ("all dangling images")
    )
    prune(invocation, "images", what, wanted)


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
