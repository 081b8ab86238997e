"""What goes wrong while a process becomes a container: which step, and why."""

from __future__ import annotations

import os

from proa.errors import ProaError

UNEXPECTED = -1  # in place of an errno: this program failed, nobody refused anything


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


def describe(error: BaseException) -> tuple[str, int]:
    """Return an error's message for the user, and its errno, 0 or `UNEXPECTED`."""
    if isinstance(error, SetupError):
        return error.message, error.errno
    if isinstance(error, ProaError):
        return error.message, getattr(error, "errno", 0)
    if isinstance(error, OSError):
        return str(error), error.errno or 0
    return f"{type(error).__name__}: {error}", UNEXPECTED
