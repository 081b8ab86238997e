"""The errors of Proa: one small tree.

    ProaError
    ├── InvalidArgument   what was asked for makes no sense             HTTP 400
    ├── Unauthorized      credentials are missing or wrong              HTTP 401
    ├── Forbidden         known, understood and refused                 HTTP 403
    ├── NotFound          the named object does not exist               HTTP 404
    ├── Conflict          the object's state does not allow it          HTTP 409
    ├── NotModified       nothing to do (not a failure for clients)     HTTP 304
    ├── Unsupported       Proa cannot do this (yet)                     HTTP 501
    ├── Unavailable       another party (registry, daemon) fails        HTTP 503
    └── Internal          the machine or Proa failed                    HTTP 500
        └── KernelError   a system call failed; carries errno

`api/errors.py` maps the tree to HTTP, `cli/exit_codes.py` to exit codes; nothing else does. Messages are
lower case, have no final period and name the object: they are read after "Error response from daemon: ".
Wording that clients match on lives in `wording.py`.
"""

from __future__ import annotations

import os


class ProaError(Exception):
    """Any failure that Proa explains. `message` is one line for the user, `hint` what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidArgument(ProaError):
    """What was asked for makes no sense, whatever the state of the engine."""


class Unauthorized(ProaError):
    """Credentials are missing or wrong."""


class Forbidden(ProaError):
    """The request is understood and refused."""


class NotFound(ProaError):
    """The named object does not exist."""


class Conflict(ProaError):
    """The state of an existing object does not allow the request."""


class NotModified(ProaError):
    """The object is already in the requested state."""


class Unsupported(ProaError):
    """Docker can do this and Proa cannot (yet), or this kernel cannot."""


class Unavailable(ProaError):
    """Another party, such as a registry, does not answer or fails."""


class Internal(ProaError):
    """The machine or Proa itself failed."""


class KernelError(Internal):
    """A system call failed. `operation` says what was tried, `errno` is the kernel's answer."""

    def __init__(self, operation: str, errno: int, *, hint: str = "") -> None:
        super().__init__(f"{operation}: {os.strerror(errno).lower()}", hint=hint)
        self.operation = operation
        self.errno = errno
