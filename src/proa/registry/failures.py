"""What went wrong at a registry, in the words dockerd uses for it.

`RequestFailed` is a failure without answer, `Refused` an answer that is an error. Both are told to users
through `pull_error`, which knows what was asked for.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from proa.errors import Forbidden, Internal, NotFound, ProaError, Unauthorized, Unavailable
from proa.oci.reference import Reference
from proa.registry.challenge import Challenge

if TYPE_CHECKING:
    import aiohttp

NO_CREDENTIALS = "no basic auth credentials"
MAX_BODY = 64 << 10  # bytes of an error's body that are looked at
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})

_ALERT = re.compile(r"\[SSL: (?:SSL|TLS)V\d+_ALERT_(\w+)\]", re.IGNORECASE)
_MOMENT = 1e9  # a pause of more seconds than this is a moment
_QUOTA = re.compile(r"(\d{1,9})(?:;w=(\d{1,9}))?")
_BY_STATUS = {
    401: ("UNAUTHORIZED", "authentication required"),
    403: ("DENIED", "requested access to the resource is denied"),
    429: ("TOOMANYREQUESTS", "too many requests"),
}


class RequestFailed(Unavailable):
    """No (whole) answer came. `connected` tells whether there was a server of the right protocol at all."""

    def __init__(self, message: str, *, connected: bool) -> None:
        super().__init__(message)
        self.connected = connected


class Refused(Unavailable):
    """The registry answered with an error: `code` and `detail` are the first of its list."""

    def __init__(
        self, status: int, code: str, detail: str, *, url: str, method: str = "GET", retry_after: float = 0
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after  # seconds
        self.url = url
        self.where = where = f'{method.capitalize()} "{url}"'
        words = code.lower().replace("_", " ")
        super().__init__(f"{words}: {detail}" if words else f"{where}: {detail}")


class Mismatch(Internal):
    """A server sent something else than the digest names."""


class _Entry(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Body(msgspec.Struct):
    errors: list[_Entry] = []
    details: str = ""  # what token servers say


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of an HTTP response that matter when it is an error."""

    method: str
    url: str
    status: int
    body: bytes
    challenges: list[Challenge]
    retry_after: str = ""
    limit: str = ""  # Docker Hub's ratelimit-limit, "100;w=21600": so many in so many seconds
    remaining: str = ""  # the same of what is left


def refusal(answer: Answer) -> Refused:
    """Make an error of an answer: of its challenge, else its body, else its status (as distribution)."""
    code, detail = _code_and_detail(answer)
    delay = pause(answer.retry_after)
    if answer.status == 429:
        delay, told = _limit(answer, delay)
        detail += told
    return Refused(answer.status, code, detail, url=answer.url, method=answer.method, retry_after=delay)


def pause(text: str) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3), or until the moment that some write
    there as seconds since 1970; 0 for none."""
    if text.isdecimal():
        seconds = float(text[:12])
        return max(0.0, seconds - time.time()) if seconds > _MOMENT else seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0


def _limit(answer: Answer, delay: float) -> tuple[float, str]:
    """Return how long a limit stands, at the longest, and what it is."""
    limit, remaining = _QUOTA.fullmatch(answer.limit.strip()), _QUOTA.fullmatch(answer.remaining.strip())
    told = ""
    if limit:
        told = f"{urlsplit(answer.url).netloc} allows {limit[1]}"
        told += f" in {_span(float(limit[2]))}" if limit[2] else ""
        if remaining:
            told += f", {remaining[1]} left"
            if remaining[1] == "0" and not delay:
                delay = float(remaining[2] or 0)
    if delay:
        told += f"{'; ' if told else ''}again in {_span(delay)}"
    return delay, f" ({told})" if told else ""


def _span(seconds: float) -> str:
    """Return a time in words, in the largest unit that is not too coarse: 90 minutes, 6 hours."""
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or seconds == size:
            count = round(seconds / size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    count = max(1, round(seconds))
    return f"{count} second{'s' if count > 1 else ''}"


def _code_and_detail(answer: Answer) -> tuple[str, str]:
    if answer.status == 401 and any(c["error"] == "insufficient_scope" for c in answer.challenges):
        return _BY_STATUS[403]
    try:
        body = msgspec.json.decode(answer.body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = _Body()
    if body.errors and body.errors[0].code:
        first = body.errors[0]
        return _one_line(first.code)[:64], _one_line(first.message) or "unknown error"
    if body.details and answer.status in _BY_STATUS:
        return _BY_STATUS[answer.status][0], _one_line(body.details)
    if answer.status in _BY_STATUS:
        return _BY_STATUS[answer.status]
    return "", f"received unexpected HTTP status: {answer.status} {_phrase(answer.status)}".rstrip()


def pull_error(error: ProaError, reference: Reference) -> ProaError:
    """Translate a failure for a user who wanted `reference`."""
    if not isinstance(error, Refused):
        return error
    name = reference.familiar_name
    if error.code == "DENIED":
        reason = "repository does not exist or may require 'docker login'"
        return NotFound(f"pull access denied for {name}, {reason}: {error}")
    if error.code in ("MANIFEST_UNKNOWN", "NOT_FOUND") or (error.status == 404 and not error.code):
        return NotFound(f"manifest for {reference.familiar} not found: {_unknown(error, 'manifest unknown')}")
    if error.code == "NAME_UNKNOWN":
        return NotFound(f"repository {name} not found: {error}")
    if error.code == "BLOB_UNKNOWN":
        return NotFound(f"a part of {reference.familiar} is missing in the registry: {error}")
    if error.code == "UNAUTHORIZED":
        return Forbidden(f"{error.where}: {error}")
    return error


def push_error(error: ProaError, reference: Reference) -> ProaError:
    """Translate a failure for a user who pushed. Never `Unauthorized`: clients take its number for a question."""
    if isinstance(error, Refused):
        if error.code in ("UNAUTHORIZED", "DENIED") or error.status in (401, 403):
            return Forbidden(str(error))
        return error
    if isinstance(error, Forbidden) and error.message.endswith(NO_CREDENTIALS):
        return Forbidden(NO_CREDENTIALS)
    return error


def inspect_error(error: ProaError, reference: Reference) -> ProaError:
    """Translate a failure for a user who asked what a registry has."""
    if not isinstance(error, Refused):
        return error
    if error.code == "UNAUTHORIZED" or error.status == 401:
        return Unauthorized(str(error))
    if error.code == "DENIED" or error.status == 403:
        return Forbidden(str(error))
    if error.status == 404:
        return NotFound(str(error) if error.code else f"manifest unknown: {error.detail}")
    return error


def refused_login(url: str, status: int) -> Unauthorized:
    return Unauthorized(f"login attempt to {url} failed with status: {status} {_phrase(status)}")


def _unknown(error: Refused, words: str) -> str:
    return error.message if error.code == "MANIFEST_UNKNOWN" else f"{words}: {error.detail}"


def explain(method: str, url: str, error: Exception, patience: float) -> RequestFailed:
    """Say in Go's words why there was no answer; `patience` is how long a silence was borne, in seconds."""
    import aiohttp

    base, versioned, _ = url.partition("/v2/")
    where = f'{method.capitalize()} "{url}"'
    if isinstance(error, aiohttp.ClientConnectorError) and versioned:
        where = f'Get "{base}/v2/"'  # dockerd meets this while it pings
    if alert := _ALERT.search(str(error)):  # what the server thinks of our side, RFC 8446, section 6
        return RequestFailed(f"{where}: remote error: tls: {alert[1].lower().replace('_', ' ')}", connected=False)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        text = f"tls: failed to verify certificate: {reason}"
        return RequestFailed(f"{where}: {text}", connected=False)
    if isinstance(error, aiohttp.ClientConnectorError):
        return RequestFailed(f"{where}: {_dial(error)}", connected=False)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return RequestFailed(f"{where}: tls: {error}", connected=False)
    if isinstance(error, TimeoutError):
        connected = not isinstance(error, aiohttp.ConnectionTimeoutError)
        return RequestFailed(f"{where}: no data for {patience:g} seconds", connected=connected)
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return RequestFailed(f"{where}: unexpected EOF", connected=True)
    if isinstance(error, aiohttp.InvalidURL):
        return RequestFailed(f"{where}: invalid URL", connected=False)
    if isinstance(error, aiohttp.ClientResponseError):
        return RequestFailed(f"{where}: malformed HTTP response: {_one_line(error.message)}", connected=True)
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return RequestFailed(f"{where}: {_one_line(detail).lower()}", connected=True)


def _dial(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(cause, ssl.SSLError):
        if cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return "http: server gave HTTP response to HTTPS client"
        return f"tls: {cause.reason or cause}"
    host = f"[{error.host}]" if ":" in error.host else error.host
    words = _one_line(cause.strerror or str(cause)).lower()
    if words.startswith("connect call failed"):  # asyncio's, around the system's
        words = "connection refused"
    return f"dial tcp {host}:{error.port}: connect: {words}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _one_line(text: str) -> str:
    """Return foreign text safe for a terminal: one line, printable, not too long."""
    clean = "".join(character if character.isprintable() else " " for character in text[:500])
    return " ".join(clean.split())
