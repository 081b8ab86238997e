"""`proa exec`: another program in a running container."""

from __future__ import annotations

from proa.cli.command import ANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("detach", "d", "", "Run in the background"),
    ("detach-keys", "", "string", "Keys that end the session and leave the program running"),
    (
        "env",
        "e",
        "list",
        "Set an environment variable (name=value, or name to pass it on)",
        "environment.variable",
    ),
    ("env-file", "", "list", "Read environment variables from a file"),
    ("interactive", "i", "", "Pass on standard input"),
    ("privileged", "", "", "Run with all capabilities"),
    ("tty", "t", "", "Give the program a terminal"),
    ("user", "u", "string", "User, or user:group, by name or number"),
    ("workdir", "w", "string", "Working directory"),
)


def _run(invocation: Invocation) -> int:
    container, *command = invocation.arguments
    detach, tty, stdin = invocation["detach"], invocation["tty"], invocation["interactive"]
    request: dict[str, Any] = {
        "Cmd": command,
        "Tty": tty,
        "AttachStdin": stdin and not detach,
        "AttachStdout": not detach,
        "AttachStderr": not detach,
    }
    _add_given(invocation, request)
    start: dict[str, Any] = {"Detach": detach, "Tty": tty}
    if tty and not detach:
        from proa.cli.attached import check_terminal
        from proa.client.terminal import size

        check_terminal(stdin, tty)
        found = size(1)
        if found:
            start["ConsoleSize"] = request["ConsoleSize"] = list(found)
    client = invocation.client
    path = "/exec/" + client.post(f"/containers/{container}/exec", request)["Id"]
    if detach:
        client.post(f"{path}/start", start)
        return 0
    return _attached(invocation, path, start)


def _add_given(invocation: Invocation, request: dict[str, Any]) -> None:
    for flag, field in (
        ("detach-keys", "DetachKeys"), ("privileged", "Privileged"), ("user", "User"), ("workdir", "WorkingDir"),
    ):  # fmt: skip
        if invocation[flag]:
            request[field] = invocation[flag]
    if invocation["env"] or invocation["env-file"]:
        from proa.cli.options.environment import variables

        request["Env"] = variables(invocation.options)


def _attached(invocation: Invocation, path: str, start: dict[str, Any]) -> int:
    from proa.client.session import Session

    tty = start["Tty"]
    client = invocation.client
    stream = client.connect()
    client.upgrade(stream, f"{path}/start", {}, start)
    client.receive(stream)
    keys = b""
    if tty:
        from proa.cli.attached import detach_keys, detach_sequence, resize
        from proa.client.signals import on_resize

        keys = detach_sequence(detach_keys(invocation))
        resize(client, path)
        on_resize(lambda: resize(client, path))
    Session(stream, tty=tty, stdin=0 if invocation["interactive"] else -1, detach_keys=keys).run()
    return int(client.get(f"{path}/json")["ExitCode"] or 0)


COMMAND = Command(
    _run, "[OPTIONS] CONTAINER COMMAND [ARG...]", flags=_FLAGS, least=2, most=ANY, interspersed=False
)
