"""`proa inspect`: whatever has that name."""

from __future__ import annotations

from proa.cli import inspection
from proa.cli.command import ANY, Command
from proa.cli.errors import Failure
from proa.client.errors import DaemonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation
    from proa.cli.inspection import Getter
    from proa.client.client import Client

_FLAGS = (
    inspection.FORMAT_FLAG,
    inspection.SIZE_FLAG,
    ("type", "", "string", "Look for this kind only (container|image|network|volume)"),
)
_KINDS: dict[str, Getter] = {
    "container": inspection.container,
    "image": inspection.image,
    "network": inspection.network,
    "volume": inspection.volume,
}
_NOT_FOUND = 404


def _any(client: Client, name: str, parameters: dict[str, str]) -> Any:
    for get in _KINDS.values():
        try:
            return get(client, name, parameters)
        except DaemonError as error:
            if error.status != _NOT_FOUND:
                raise
    raise Failure(f"Error: No such object: {name}")


def _run(invocation: Invocation) -> int:
    kind = invocation["type"]
    if kind not in _KINDS and invocation.options.given("type"):
        problem = f'unknown type: "{kind}"' if kind else "type is empty"
        known = ", ".join(f'"{name}"' for name in _KINDS)
        raise Failure(f"{problem}: must be one of {known}")
    parameters = {"size": "1"} if invocation["size"] else {}
    get = _KINDS[kind] if kind else _any
    return inspection.inspect(invocation, inspection.of_engine(invocation, get, parameters), invocation["format"])


COMMAND = Command(_run, "[OPTIONS] NAME|ID [NAME|ID...]", flags=_FLAGS, least=1, most=ANY)
