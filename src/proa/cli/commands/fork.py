"""`proa container fork`: copies of a container that begin with what it has written."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("copies", "n", "int", "How many to make, one unless told"),
    ("name", "", "string", "Call them this, with -1, -2 and so on behind"),
    ("snapshot", "", "string", "Copy what the container had at this snapshot, not what it has now"),
    ("start", "", "", "Start them"),
)


def _run(invocation: Invocation) -> int:
    copies = invocation["copies"] if invocation.options.given("copies") else 1
    parameters = {"count": str(copies)}
    for flag in ("name", "snapshot"):
        if invocation[flag]:
            parameters[flag] = invocation[flag]
    if invocation["start"]:
        parameters["start"] = "1"
    made = invocation.client.post(f"/proa/containers/{invocation.arguments[0]}/fork", **parameters)["Containers"]
    invocation.print(*(one["Id"] for one in made))
    failed = [one for one in made if one["Error"]]
    for one in failed:
        invocation.warn(f"{one['Name']}: {one['Error']}")
    return int(bool(failed))


COMMAND = Command(_run, "[OPTIONS] CONTAINER", flags=_FLAGS, least=1, most=1)
