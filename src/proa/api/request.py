"""What a handler gets and gives: the request, a whole response, or a stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from proa.api.body import Body
from proa.api.http1 import RequestHead
from proa.api.query import Query
from proa.api.spelling import corrected
from proa.api.versions import CURRENT, Version
from proa.errors import InvalidArgument

if TYPE_CHECKING:
    from proa.api.facade import Engine

T = TypeVar("T")

JSON = "application/json"
MAX_OPEN_JSON = 1 << 20
_encode = msgspec.json.Encoder().encode


class Response:
    """A response that is complete; `headers` are added to those that all responses have."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: str = JSON,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}


def json_response(value: object, status: int = 200) -> Response:
    """Return `value` (builtins or Structs) as JSON, with the line end that Docker sends."""
    return Response(status, _encode(value) + b"\n")


NO_CONTENT = Response(204)


class Wire(Protocol):
    """What a request can do with its connection."""

    @property
    def hung_up(self) -> bool: ...
    @property
    def responded(self) -> bool: ...
    async def begin(self, status: int, content_type: str, headers: dict[str, str] | None = None) -> Stream: ...
    async def begin_raw(self, head: bytes) -> Stream: ...
    async def detach(self, head: bytes) -> tuple[int, bytes]: ...


class Stream(Protocol):
    """A response that is sent as it comes into being."""

    async def write(self, data: bytes) -> None:
        """Send one piece and wait while the client is slow. Raises `ClientGone`."""

    async def close(self) -> None:
        """Send the end. A stream that is not closed tells the client that it was cut off."""


class Request:
    """One request. Handlers return a `Response`, or use `wire` and return None."""

    def __init__(self, head: RequestHead, body: Body, wire: Wire) -> None:
        self.method = head.method
        self.target = head.target
        self.headers = head.headers
        self.upgrade = head.upgrade
        self.http_version = head.version
        self.body = body
        self.wire = wire
        self.version: Version = CURRENT
        self.parameters: dict[str, str] = {}  # of the path
        self.abandonable = False  # whether it is cancelled when the client hangs up
        # Filled in by the application before a handler sees the request.
        self.query: Query
        self.engine: Engine
        self.path = ""

    def name(self) -> str:
        """Return the object that the path names."""
        return self.parameters["name"]

    async def json(self, kind: type[T]) -> T | None:
        """Decode the body, None when there is none. Raises `InvalidArgument` in Docker's words.

        Unknown fields are ignored and null counts as absent, as in Go.
        """
        document = await self.json_object(kind)
        return None if document is None else convert(document, kind)

    async def open_json(self, kind: type[T]) -> T:
        """Decode the object that a body begins with; more may follow in it, to be read from `body`."""
        return convert(corrected(await self._open_json_object(), kind), kind)

    async def _open_json_object(self) -> dict[str, Any]:
        data = b""
        while piece := await self.body.read():
            data += piece
            try:
                return _object(data)
            except InvalidArgument:
                if len(data) > MAX_OPEN_JSON:
                    raise
        return _object(data) if data.strip() else {}

    async def json_object(self, kind: type | None = None) -> dict[str, Any] | None:
        """Decode the body into an object, with the fields' names as `kind` spells them; None without a body."""
        if self.body.empty:
            return None
        content_type = self.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != JSON:
            raise InvalidArgument(f"unsupported Content-Type header ({content_type}): must be 'application/json'")
        data = await self.body.read_all()
        if not data.strip():
            raise InvalidArgument("invalid JSON: got EOF while reading request body")
        if data.strip() == b"null":
            return None
        document = _object(data)
        return corrected(document, kind) if kind else document


def _object(data: bytes) -> dict[str, Any]:
    try:
        if b"\\u0000" in data and _NUL.search(data):
            raise InvalidArgument("invalid JSON: a string contains a NUL character (\\u0000)")
        document = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        if "trailing characters" in str(error):
            raise InvalidArgument("unexpected content after JSON") from None
        text = "unexpected EOF" if "truncated" in str(error) else str(error)  # as Go says it
        raise InvalidArgument(f"invalid JSON: {text}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument("invalid JSON: the body is not an object")
    return document


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # not an escaped backslash before "u0000"


def convert(document: dict[str, Any], kind: type[T]) -> T:
    """Convert decoded JSON to a wire type. Raises `InvalidArgument`."""
    try:
        return msgspec.convert(without_nulls(document), kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None


# Sets in Go's style: {"80/tcp": null} has the member as {"80/tcp": {}} has.
# Likewise lists: what is null binds nothing, and its name is looked at.
_MEMBERS: dict[str, type] = {"EndpointsConfig": dict, "ExposedPorts": dict, "PortBindings": list, "Volumes": dict}


def without_nulls(value: Any) -> Any:
    """Return decoded JSON without nulls: Go leaves a field that is null at its zero value."""
    if isinstance(value, dict):
        return {
            key: {name: without_nulls(entry) or _MEMBERS[key]() for name, entry in item.items()}
            if key in _MEMBERS and isinstance(item, dict)
            else without_nulls(item)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [without_nulls(item) for item in value if item is not None]
    return value


def required(document: T | None) -> T:
    """Return a decoded body that must be there. Raises `InvalidArgument`."""
    if document is None:
        raise InvalidArgument("invalid JSON: got EOF while reading request body")
    return document
