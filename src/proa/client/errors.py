"""What can go wrong between the command line and the engine."""

from __future__ import annotations

from proa.errors import ProaError, Unavailable


class DaemonError(ProaError):
    """The engine refused or failed; `status` is the HTTP status, 0 for an error within a stream."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message.strip())
        self.status = status

    def __str__(self) -> str:
        return f"Error response from daemon: {self.message}" if self.status else self.message


class CannotConnect(Unavailable):
    """Nothing answers at the engine's address."""


class NotRunning(CannotConnect):
    """There is no socket at the engine's address, or nobody listens on it."""


class Detached(ProaError):
    """The user pressed the detach keys: the container runs on, the session is over."""

    def __init__(self) -> None:
        super().__init__("read escape sequence")
