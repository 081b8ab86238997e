"""Being attached to a container: its streams, the window's size, signals, its exit status.

Used by `run`, `start -a` and `attach`. The engine must know of the attach and the wait before the container
starts, so both are asked for at once, on connections of their own, and their answers awaited before the start.
"""

from __future__ import annotations

import os

from proa.cli.errors import USAGE, Failure
from proa.client.errors import DaemonError
from proa.client.session import Session
from proa.client.wire import decode
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation
    from proa.client.client import Client
    from proa.client.http import Connection


class Attached:
    """One container that this process is attached to, from before its start to its end."""

    def __init__(
        self, client: Client, identifier: str, *, tty: bool, stdin: bool, stdout: bool = True, stderr: bool = True
    ) -> None:
        self._client = client
        self._path = f"/containers/{identifier}"
        self._tty = tty
        self._streams = (stdin, stdout, stderr)
        self._stream: Connection = client.connect()
        self._wait: Connection = client.connect()

    def open(self, condition: str, detach_keys: str = "") -> None:
        """Attach, and wait for `condition`; returns when the engine has begun both."""
        parameters = {"stream": "1"}
        for name, wanted in zip(("stdin", "stdout", "stderr"), self._streams, strict=True):
            if wanted:
                parameters[name] = "1"
        if detach_keys:
            parameters["detachKeys"] = detach_keys
        client = self._client
        client.upgrade(self._stream, f"{self._path}/attach", parameters)
        client.send(self._wait, "POST", f"{self._path}/wait", {"condition": condition})
        client.receive(self._stream)
        self._waiting = client.receive(self._wait)

    def follow_window(self, redraw: bool = False) -> None:
        """Tell the engine the size of the terminal, now and whenever it changes.

        `redraw` changes it by one for a moment, so that a program that was there before paints its screen.
        """
        if self._tty and os.isatty(1):
            from proa.client.signals import on_resize

            if redraw:
                resize(self._client, self._path, more=1)
            self._resize()
            on_resize(self._resize)

    def _resize(self) -> None:
        resize(self._client, self._path)

    def forward_signals(self) -> None:
        """Pass on the signals that this process gets."""
        from proa.client.signals import proxy

        proxy(self._kill)

    def _kill(self, signal: str) -> None:
        try:
            self._client.post(f"{self._path}/kill", None, signal=signal)
        except ProaError:
            pass  # it has ended in the meantime, and its end is reported anyway

    def copy(self, detach_keys: bytes) -> None:
        """Copy between the user and the container until its end. Raises `Detached`."""
        stdin, stdout, stderr = self._streams
        Session(
            self._stream,
            tty=self._tty,
            stdin=0 if stdin else -1,
            stdout=1 if stdout else -1,
            stderr=2 if stderr else -1,
            detach_keys=detach_keys,
        ).run()

    def await_removal(self) -> None:
        """Return when the engine has removed a container that could not be started."""
        self._waiting.read()

    def status(self) -> int:
        """Return the exit code, waiting for the end. Raises `Failure` when the engine cannot tell."""
        answer = decode(self._waiting.read())
        problem = (answer.get("Error") or {}).get("Message")
        if problem:
            raise Failure(f"Error waiting for container: {problem}", USAGE)
        return int(answer["StatusCode"])


def resize(client: Client, path: str, more: int = 0) -> None:
    """Give a container's or an exec's terminal the size of this one (and `more`); too late is not an error."""
    from proa.client.terminal import size

    found = size(1)
    if found is None:
        return
    try:
        client.post(f"{path}/resize", None, h=str(found[0] + more), w=str(found[1] + more))
    except DaemonError:
        pass


def check_terminal(stdin: bool, tty: bool) -> None:
    """Raise `Failure` when a terminal is asked for and standard input is not one."""
    if stdin and tty and not os.isatty(0):
        raise Failure("the input device is not a TTY")


def detach_keys(invocation: Invocation) -> str:
    """Return the keys of `--detach-keys` or docker's configuration, "" for the usual ones."""
    return str(invocation["detach-keys"] or invocation.config.get("detachKeys", ""))


def detach_sequence(text: str) -> bytes:
    """Return the keys that end a session. Raises `InvalidArgument`."""
    from proa.client.detach_keys import DEFAULT, parse

    return parse(text or DEFAULT)
