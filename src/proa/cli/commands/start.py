"""`proa start`: containers that were made before, or have ended."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.errors import Failure
from proa.client.errors import Detached
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("attach", "a", "", "Attach to the output and pass on signals"),
    ("detach-keys", "", "string", "Keys that end the session and leave the container running"),
    ("interactive", "i", "", "Attach standard input, too"),
)

_REFUSED = tuple(
    (name, "", "string", "Proa makes no checkpoints of containers") for name in ("checkpoint", "checkpoint-dir")
)


def _run(invocation: Invocation) -> int:
    if not (invocation["attach"] or invocation["interactive"]):
        return _start_all(invocation)
    if len(invocation.arguments) > 1:
        raise Failure("you cannot start and attach multiple containers at once")
    return _start_attached(invocation)


def _start_all(invocation: Invocation) -> int:
    failed = []
    for name in invocation.arguments:
        try:
            invocation.client.post(f"/containers/{name}/start")
        except ProaError as error:
            invocation.warn(str(error))
            failed.append(name)
        else:
            invocation.print(name)
    if failed:
        raise Failure(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _start_attached(invocation: Invocation) -> int:
    from proa.cli.attached import Attached, detach_keys, detach_sequence

    client = invocation.client
    container = client.get(f"/containers/{invocation.arguments[0]}/json")
    config, keys = container["Config"], detach_keys(invocation)
    tty = config["Tty"]
    stdin = invocation["interactive"] and config["OpenStdin"]
    sequence = detach_sequence(keys) if tty else b""
    attached = Attached(client, container["Id"], tty=tty, stdin=stdin)
    attached.open("removed" if container["HostConfig"].get("AutoRemove") else "next-exit", keys)
    if not tty:
        attached.forward_signals()
    client.post(f"/containers/{container['Id']}/start")
    attached.follow_window()
    try:
        attached.copy(sequence)
    except Detached:
        return 0
    return attached.status()


COMMAND = Command(_run, "[OPTIONS] CONTAINER [CONTAINER...]", flags=_FLAGS, least=1, most=ANY, refused=_REFUSED)
