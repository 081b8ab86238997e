"""What callers ask of containers and execs beside `ContainerOptions`, and the short answers they get."""

from __future__ import annotations

import msgspec

DEFAULT_DETACH_KEYS = b"\x10\x11"  # ctrl-p ctrl-q


class AttachRequest(msgspec.Struct, kw_only=True):
    """How a client's socket is joined to a container's or exec's streams.

    Who passes a socket has already written the head of its HTTP reply to it. On success the engine owns the
    socket and closes it; when the call raises, the caller still owns it. The socket is non-blocking.
    """

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    stream: bool = True  # follow; without it only `logs` are replayed, then the socket is closed
    logs: bool = False  # replay what was logged so far first
    detach_keys: bytes = DEFAULT_DETACH_KEYS  # for terminals only
    multiplexed: bool = False  # frame the output: [stream, 0, 0, 0, length: u32 BE] payload
    buffered: bytes = b""  # what the client has already sent after its request
    drain: bool = False
    """No output before the client has read the reply's head (SIOCOUTQ is 0): docker-py reads the head through
    a buffer that would swallow output coming with it (docker/docker-py#3332)."""


class ExecOptions(msgspec.Struct, kw_only=True):
    """What `exec` is asked to run."""

    command: list[str]
    env: list[str] = []
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    privileged: bool = False
    console_size: tuple[int, int] | None = None  # rows, columns
    detach_keys: str = ""  # Docker's notation, "ctrl-p,ctrl-q"; "" is the default


class Created(msgspec.Struct, kw_only=True):
    """A new container and what the user should know about it."""

    id: str
    warnings: list[str] = []


class ExitStatus(msgspec.Struct, kw_only=True):
    """How a container ended. `error` says why it could not be waited for or started, "" otherwise."""

    code: int
    error: str = ""
