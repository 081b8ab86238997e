"""`proa system prune`: everything that nothing uses."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.pruning import FILTER_FLAG, FORCE_FLAG, conditions, remove, total
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation
    from proa.cli.pruning import Conditions

_FLAGS = (
    ("all", "a", "", "Remove all images that no container uses, not only those without a name"),
    FILTER_FLAG,
    FORCE_FLAG,
    ("volumes", "", "", "Remove anonymous volumes, too"),
)


def _run(invocation: Invocation) -> None:
    everything, volumes = invocation["all"], invocation["volumes"]
    wanted = conditions(invocation)
    if volumes and any(name == "until" for name, _ in wanted):
        raise InvalidArgument('ERROR: The "until" filter is not supported with "--volumes"')
    if not invocation["force"]:
        from proa.cli.confirm import CONTINUE, confirm

        if not confirm(invocation, f"{_warning(everything, volumes, wanted)}\n{CONTINUE}"):
            return
    space = 0
    for kind in ("containers", "networks", *(["volumes"] if volumes else []), "images", "build"):
        own: Conditions = [("dangling", str(not everything).lower())] if kind == "images" else []
        parameters = {"all": "1"} if kind == "build" and everything else {}
        lines, regained = remove(invocation, kind, [*wanted, *own], **parameters)
        invocation.print(*lines)
        invocation.flush()
        space += regained
    total(invocation, space)


def _warning(everything: bool, volumes: bool, wanted: Conditions) -> str:
    unused = "not used by at least one container"
    items = [
        "all stopped containers",
        f"all networks {unused}",
        *([f"all anonymous volumes {unused}"] if volumes else []),
        "all images without at least one container associated to them" if everything else "all dangling images",
        "all build cache" if everything else "unused build cache",
    ]
    lines = ["WARNING! This will remove:", *(f"  - {item}" for item in items), ""]
    if wanted:
        filters = sorted(f"{name}={value}" for name, value in wanted)
        lines += ["  Items to be pruned will be filtered with:", *(f"  - {text}" for text in filters), ""]
    return "\n".join(lines)


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
