"""How commands end: the texts around a failure and the exit code."""

from __future__ import annotations

from proa.errors import ProaError

FAILED = 1
USAGE = 125  # also: the engine failed before the container's program ran
NOT_EXECUTABLE = 126
NOT_FOUND = 127
INTERRUPTED = 130


class Failure(ProaError):
    """Ends the command with `status` after printing the message, if there is one."""

    def __init__(self, message: str = "", status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


class UsageError(Failure):
    """A flag that is unknown or has a value that makes no sense."""

    def __init__(self, message: str, usage: str, command: str) -> None:
        super().__init__(f"{message}\n\n{usage}\n\nRun '{command} --help' for more information", USAGE)


class ArgumentError(Failure):
    """Too many or too few arguments."""

    def __init__(self, message: str, usage: str, command: str) -> None:
        verb = "See" if "at least" in message and "at most" not in message else "Run"
        super().__init__(
            f"proa: '{command}' {message}\n\n{usage}\n\n{verb} '{command} --help' for more information"
        )


def run_failure(error: ProaError, command: str) -> Failure:
    """Return how `run` and `create` end on `error`: Docker tells the kind of failure from its text."""
    text = str(error)
    status = USAGE
    if command != "proa create":
        if "executable file not found" in text or "no such file or directory" in text:
            status = NOT_FOUND
        elif "permission denied" in text or "is a directory" in text:
            status = NOT_EXECUTABLE
    return Failure(f"proa: {text}\n\nRun '{command} --help' for more information", status)
