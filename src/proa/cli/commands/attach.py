"""`proa attach`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("detach-keys", "", "string", "Keys that end the session and leave the container running"),
    ("no-stdin", "", "", "Do not attach standard input"),
    ("sig-proxy", "", "", "Pass signals on to the container", "", True),
)


def _run(invocation: Invocation) -> int:
    from proa.cli.attached import Attached, check_terminal, detach_keys, detach_sequence

    client = invocation.client
    container = client.get(f"/containers/{invocation.arguments[0]}/json")
    _check_state(container["State"])
    tty, keys = container["Config"]["Tty"], detach_keys(invocation)
    stdin = container["Config"]["OpenStdin"] and not invocation["no-stdin"]
    check_terminal(stdin, tty)
    sequence = detach_sequence(keys) if tty else b""
    attached = Attached(client, container["Id"], tty=tty, stdin=stdin)
    attached.open("not-running", keys)
    if invocation["sig-proxy"] and not tty:
        attached.forward_signals()
    attached.follow_window(redraw=True)
    attached.copy(sequence)
    return attached.status()


def _check_state(state: dict[str, Any]) -> None:
    if not state["Running"]:
        raise Failure("You cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise Failure("You cannot attach to a paused container, unpause it first")
    if state["Restarting"]:
        raise Failure("You cannot attach to a restarting container, wait until it is running")


COMMAND = Command(_run, "[OPTIONS] CONTAINER", flags=_FLAGS, least=1, most=1)
