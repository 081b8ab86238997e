"""`proa builder prune`: the cache of builds."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.pruning import FILTER_FLAG, FORCE_FLAG, prune

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("all", "a", "", "Remove all cache that no build uses, not only what nothing leads to"),
    FILTER_FLAG,
    FORCE_FLAG,
    ("keep-storage", "", "bytes", "Leave so much of it", "sizes.memory"),
)


def _run(invocation: Invocation) -> None:
    parameters = {"all": "1"} if invocation["all"] else {}
    if invocation["keep-storage"]:
        parameters["keep-storage"] = str(invocation["keep-storage"])
    what = "all build cache" if invocation["all"] else "all dangling build cache"
    prune(invocation, "build", what, invocation["filter"], **parameters)


COMMAND = Command(_run, flags=_FLAGS)
