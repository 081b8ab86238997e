"""The engine's API as Python sees it: requests with JSON both ways, streams, hijacked connections.

Next hop of `run`: `api/routes/containers/create.py`, at the other end of the socket.
"""

from __future__ import annotations

from proa.client.errors import CannotConnect, DaemonError, NotRunning
from proa.client.http import Connection, query, quote
from proa.client.wire import decode, encode
from proa.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from proa.client.address import Address
    from proa.client.http import Parameters, Response

_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


class Client:
    """Requests to one engine. One idle connection is kept; a request while it is in use opens another."""

    def __init__(self, address: Address, version: str = "", headers: dict[str, str] | None = None) -> None:
        """`version`: an API version for the paths; without, the engine takes its newest."""
        self.address = address
        self._prefix = f"/v{version}" if version else ""
        self._headers = headers or {}
        self._idle: Connection | None = None
        self._opened: list[Connection] = []

    def connect(self) -> Connection:
        """Open a connection of its own, for a request that is sent now and answered later.

        The local engine is started when it does not run.
        """
        try:
            connection = Connection(self.address.connect(), self.address.host_header)
        except NotRunning:
            if not self.address.default:
                raise
            from proa.client.spawn import start

            start(self.address)
            connection = Connection(self.address.connect(), self.address.host_header)
        self._opened.append(connection)
        return connection

    def close(self) -> None:
        """Close all connections."""
        for connection in self._opened:
            connection.close()

    def get(self, path: str, **parameters: str | list[str]) -> Any:
        return self.call("GET", path, parameters)

    def post(self, path: str, body: Any = None, **parameters: str | list[str]) -> Any:
        return self.call("POST", path, parameters, body)

    def delete(self, path: str, **parameters: str | list[str]) -> Any:
        return self.call("DELETE", path, parameters)

    def call(self, method: str, path: str, parameters: Parameters, body: Any = None) -> Any:
        """Return the decoded answer, None for an empty one. Raises `DaemonError`, `CannotConnect`."""
        data = self.read(self.request(method, path, parameters, body))
        return decode(data) if data.strip() else None

    def read(self, response: Response) -> bytes:
        """Read a whole body and keep its connection for the next request."""
        data = response.read()
        self.release(response)
        return data

    def release(self, response: Response) -> None:
        """Keep the connection of an answer that was read to its end."""
        if response.reusable and self._idle is None:
            self._idle = response.connection
        else:
            response.connection.close()

    def request(
        self,
        method: str,
        path: str,
        parameters: Parameters | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Send a request and return the head of its answer.

        `body` is sent as JSON, an iterable of bytes in chunks. Raises `DaemonError` for a status from 400 on.
        """
        connection, self._idle = self._idle, None
        if connection is None or not connection.alive():
            connection = self.connect()
        self.send(connection, method, path, parameters, body, headers)
        return self.receive(connection, method)

    def send(
        self,
        connection: Connection,
        method: str,
        path: str,
        parameters: Parameters | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Send a request on `connection`. An engine that answers before it has read all is not an error here."""
        sent = {"User-Agent": "Proa-Client/0.1 (linux)", **self._headers, **(headers or {})}
        raw: bytes | Iterable[bytes] | None = None
        if isinstance(body, (dict, list)):
            raw = encode(body)
            sent["Content-Type"] = "application/json"
        elif body is not None:
            raw = body
        try:
            connection.send(method, quote(self._prefix + path) + query(parameters or {}), raw, sent)
        except (BrokenPipeError, ConnectionResetError):
            pass  # its answer is waiting to be read

    def receive(self, connection: Connection, method: str = "POST") -> Response:
        """Return the head of the next answer on `connection`. Raises `DaemonError` for a status from 400 on."""
        try:
            response = connection.receive(method)
        except CannotConnect as error:
            raise CannotConnect(f"{error.message} ({self.address.url})") from None
        if response.status >= 400:
            raise DaemonError(_message(self.read(response), response.status), response.status)
        return response

    def upgrade(self, connection: Connection, path: str, parameters: Parameters, body: Any = None) -> None:
        """Ask for `connection` to become a raw stream (the answer comes through `receive`)."""
        self.send(connection, "POST", path, parameters, body, _UPGRADE)

    def stream(
        self,
        method: str,
        path: str,
        parameters: Parameters | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the messages of a JSON stream; one that tells an error is raised as `DaemonError`."""
        response = self.request(method, path, parameters, body, headers)
        for line in response.lines():
            message = decode(line)
            if "error" in message:
                detail = message.get("errorDetail") or {}
                raise DaemonError(detail.get("message") or message["error"])
            yield message
        self.release(response)


def _message(data: bytes, status: int) -> str:
    """Return the text of an error: `{"message": …}`, or the body itself from something that is no engine."""
    text = data.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            return str(decode(data)["message"])
        except (KeyError, Internal):
            pass
    return text or f"status {status} without a reason"
