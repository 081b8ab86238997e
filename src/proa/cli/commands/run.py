"""`proa run`: create, attach, wait, start, stream, exit status.

Next hops: `creation.py`, `attached.py`, `client/client.py`, then the engine's API.
"""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.creation import create, prepare
from proa.cli.errors import Failure, run_failure
from proa.cli.options.container_body import leave_unattached
from proa.cli.options.container_flags import FLAGS, REFUSED
from proa.client.errors import CannotConnect, Detached
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    *FLAGS,
    ("detach", "d", "", "Run in the background and print the container's ID"),
    ("detach-keys", "", "string", "Keys that end the session and leave the container running"),
    ("sig-proxy", "", "", "Pass signals on to the container", "", True),
)


def _run(invocation: Invocation) -> int:
    try:
        config = prepare(invocation)
    except ProaError as error:
        raise Failure(f"proa: {error}\n\nRun '{invocation.name} --help' for more information", 125) from error
    if invocation["detach"]:
        if invocation["attach"]:
            raise Failure("conflicting options: cannot specify both --attach and --detach")
        leave_unattached(config)
    elif config["Tty"]:
        from proa.cli.attached import check_terminal

        check_terminal(config["AttachStdin"], config["Tty"])
        _tell_size(config)
    try:
        identifier = create(invocation, config)
    except ProaError as error:
        raise run_failure(error, invocation.name) from error
    if not (config["AttachStdin"] or config["AttachStdout"] or config["AttachStderr"]):
        _start(invocation, identifier)
        invocation.print(identifier)
        return 0
    return _run_attached(invocation, identifier, config)


def _tell_size(config: dict[str, Any]) -> None:
    """The terminal's size must be right when the program writes its first prompt."""
    from proa.client.terminal import size

    found = size(1)
    if found:
        config["HostConfig"]["ConsoleSize"] = list(found)


def _start(invocation: Invocation, identifier: str) -> None:
    try:
        invocation.client.post(f"/containers/{identifier}/start")
    except ProaError as error:
        raise run_failure(error, invocation.name) from error


def _run_attached(invocation: Invocation, identifier: str, config: dict[str, Any]) -> int:
    from proa.cli.attached import Attached, detach_keys, detach_sequence

    keys = detach_keys(invocation)
    sequence = detach_sequence(keys) if config["Tty"] else b""
    attached = Attached(
        invocation.client,
        identifier,
        tty=config["Tty"],
        stdin=config["AttachStdin"],
        stdout=config["AttachStdout"],
        stderr=config["AttachStderr"],
    )
    attached.open("removed" if invocation["rm"] else "next-exit", keys)
    if invocation["sig-proxy"]:
        attached.forward_signals()
    try:
        _start(invocation, identifier)
    except Failure as error:
        if invocation["rm"] and not isinstance(error.__cause__, CannotConnect):
            attached.await_removal()
        raise
    attached.follow_window()
    try:
        attached.copy(sequence)
    except Detached:
        return 0
    if not (config["AttachStdout"] or config["AttachStderr"]):
        return 0
    return attached.status()


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    flags=_FLAGS,
    least=1,
    most=ANY,
    interspersed=False,
    refused=REFUSED,
)
