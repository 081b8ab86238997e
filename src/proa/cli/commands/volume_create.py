"""`proa volume create`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("driver", "d", "string", "Driver of the volume", "", "local"),
    ("label", "", "list", "Set a label (name=value)", "environment.label"),
    ("name", "", "string", "Name of the volume"),
    ("opt", "o", "map", "Options of the driver (name=value)"),
)

_CLUSTER = tuple(
    (name, "", kind, "volumes of a cluster need a swarm, which Proa has not")
    for name, kind in (
        ("availability", "string"), ("group", "string"), ("limit-bytes", "bytes"), ("required-bytes", "bytes"),
        ("scope", "string"), ("secret", "map"), ("sharing", "string"), ("topology-preferred", "list"),
        ("topology-required", "list"), ("type", "string"),
    )
)  # fmt: skip


def _run(invocation: Invocation) -> None:
    from proa.cli.options.environment import mapping

    name = invocation["name"]
    if invocation.arguments:
        if name:
            raise Failure(
                "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
            )
        name = invocation.arguments[0]
    body = {
        "Name": name,
        "Driver": invocation["driver"],
        "DriverOpts": mapping(invocation["opt"]),
        "Labels": mapping(invocation["label"]),
    }
    invocation.print(invocation.client.post("/volumes/create", body)["Name"])


COMMAND = Command(_run, "[OPTIONS] [VOLUME]", flags=_FLAGS, most=1, refused=_CLUSTER)
