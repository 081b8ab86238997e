"""From errors to HTTP: the only place where the tree of `proa.errors` becomes status codes."""

from __future__ import annotations

import logging

import msgspec

from proa import errors

_log = logging.getLogger(__name__)

STATUS: dict[type[errors.ProaError], int] = {
    errors.NotModified: 304,
    errors.InvalidArgument: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Internal: 500,
    errors.Unsupported: 501,
    errors.Unavailable: 503,
}


class HttpError(Exception):
    """A failure of the HTTP exchange itself, with the status that only it needs."""

    def __init__(self, status: int, message: str, *, plain: bool = False) -> None:
        """`plain`: told as text, to clients older than errors in JSON."""
        super().__init__(message)
        self.plain = plain
        self.status = status
        self.message = message


class ClientGone(ConnectionError):
    """The client has hung up: nobody is left to be told."""


def page_not_found() -> HttpError:
    """What Docker says to unknown paths and to unknown methods alike (never 405)."""
    return HttpError(404, "page not found")


def describe(error: BaseException) -> tuple[int, str]:
    """Return the status and the message for any exception; unexpected ones are logged, never shown raw."""
    if isinstance(error, HttpError):
        return error.status, error.message
    if isinstance(error, errors.ProaError):
        status = next(STATUS[kind] for kind in (*type(error).__mro__, errors.Internal) if kind in STATUS)
        return status, f"{error.message} ({error.hint})" if error.hint else error.message
    _log.error("unexpected failure", exc_info=error)
    text = (str(error).splitlines() or ["no details"])[0]
    return 500, f"internal error: {type(error).__name__}: {text}"


def body(message: str) -> bytes:
    """Return the JSON that carries an error's message."""
    return msgspec.json.encode({"message": message}) + b"\n"
