"""How a process that is still becoming a container tells its parent what went wrong.

The child writes one JSON object to a close-on-exec pipe: {"message", "errno"}. End of file without one
means that execve succeeded.
"""

from __future__ import annotations

import json
import os


class SetupError(Exception):
    """A step of making a container or joining one failed; `message` is for the user."""

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.errno = errno


class step:
    """`with step("mount /proc"):` names what an OSError was about."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            reason = os.strerror(error.errno or 0).lower()
            raise SetupError(f"{self.what}: {reason}", error.errno or 0) from error


def report(pipe: int, error: BaseException) -> None:
    """Send `error` to the parent; a parent that is gone needs no report."""
    if isinstance(error, SetupError):
        fault = {"message": error.message, "errno": error.errno}
    elif isinstance(error, OSError):
        fault = {"message": str(error), "errno": error.errno or 0}
    else:
        fault = {"message": f"{type(error).__name__}: {error}", "errno": 0}
    try:
        os.write(pipe, json.dumps(fault).encode()[:4000])
    except BrokenPipeError:
        pass


def receive(pipe: int) -> None:
    """Wait for the child's execve; raise `SetupError` with its report if that did not come about."""
    data = b""
    while chunk := os.read(pipe, 4096):
        data += chunk
    if data:
        fault = json.loads(data)
        raise SetupError(fault["message"], fault["errno"])
