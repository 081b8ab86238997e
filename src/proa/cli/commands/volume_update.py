"""`proa volume update`: only volumes of a swarm can be changed, and Proa has none."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (("availability", "", "string", "Whether the swarm may use it (active|pause|drain)", "", "active"),)


def _run(invocation: Invocation) -> None:
    name = invocation.arguments[0]
    volume = invocation.client.get(f"/volumes/{name}")
    if not volume.get("ClusterVolume"):
        raise Failure("can only update cluster volumes")
    body = {"Spec": {**volume["ClusterVolume"]["Spec"], "Availability": invocation["availability"]}}
    version = str(volume["ClusterVolume"]["Version"]["Index"])
    invocation.client.call("PUT", f"/volumes/{name}", {"version": version}, body)


COMMAND = Command(_run, "[OPTIONS] [VOLUME]", flags=_FLAGS, least=1, most=1)
