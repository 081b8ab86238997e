"""A proxy before a registry that breaks what it is told to, and one that asks for bearer tokens.

async with FaultyProxy(registry.url) as proxy:
    proxy.fault("/blobs/", truncate(1000), times=2)
    … pull from proxy.address …
    proxy.requests                      # what came: method, path, headers, status
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

Handler = Callable[[web.Request, int, dict[str, str], bytes], Awaitable[web.StreamResponse]]
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "host", "date", "server"}


@dataclass
class Seen:
    """One request as the proxy saw it."""

    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    status: int = 0


@dataclass
class Fault:
    pattern: re.Pattern[str]
    handler: Handler
    times: int  # how often still
    methods: tuple[str, ...]


def truncate(keep: int) -> Handler:
    """Send `keep` bytes of the body, then break the connection."""

    async def handle(
        request: web.Request, status: int, headers: dict[str, str], body: bytes
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[:keep])
        await asyncio.sleep(0.02)  # or the client's kernel throws away what it has with the reset
        assert request.transport is not None
        request.transport.abort()
        return response

    return handle


def stall(keep: int) -> Handler:
    """Send `keep` bytes of the body, then nothing for ever."""

    async def handle(
        request: web.Request, status: int, headers: dict[str, str], body: bytes
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[:keep])
        await asyncio.sleep(3600)  # until the server is closed
        return response

    return handle


def delay(seconds: float) -> Handler:
    """Answer as the registry does, but late."""

    async def handle(
        request: web.Request, status: int, headers: dict[str, str], body: bytes
    ) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.Response(status=status, headers=_without_length(request, headers), body=body)

    return handle


def throttle(rate: float) -> Handler:
    """Send so many bytes a second."""

    async def handle(
        request: web.Request, status: int, headers: dict[str, str], body: bytes
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        piece = max(1, int(rate / 20))
        for start in range(0, len(body), piece):
            await response.write(body[start : start + piece])
            await asyncio.sleep(0.05)
        return response

    return handle


def _without_length(request: web.Request, headers: dict[str, str]) -> dict[str, str]:
    if request.method == "HEAD":
        headers["Content-Length"] = headers.pop("X-Length", "0")
    return headers


def corrupt(position: int) -> Handler:
    """Flip a bit of the body."""

    def change(body: bytes) -> bytes:
        return body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]

    return replace(change)


def replace(change: Callable[[bytes], bytes], **headers: str) -> Handler:
    """Change the body, and headers if given (underscores become dashes)."""
    extra = {name.replace("_", "-"): value for name, value in headers.items()}

    async def handle(request: web.Request, status: int, kept: dict[str, str], body: bytes) -> web.StreamResponse:
        return web.Response(status=status, headers={**kept, **extra}, body=change(body))

    return handle


def answer(code: int, body: bytes = b"", **headers: str) -> Handler:
    """Answer this instead."""
    extra = {name.replace("_", "-"): value for name, value in headers.items()}

    async def handle(request: web.Request, status: int, kept: dict[str, str], _: bytes) -> web.StreamResponse:
        return web.Response(status=code, headers=extra, body=body)

    return handle


def hang_up() -> Handler:
    """Break the connection without any answer."""

    async def handle(request: web.Request, status: int, kept: dict[str, str], _: bytes) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return handle


class Server:
    """An aiohttp application on a free port of loopback, in the test's own event loop."""

    def __init__(self) -> None:
        self.address = ""
        self.requests: list[Seen] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): text for name, text in request.headers.items()}
        seen = Seen(request.method, request.path_qs, headers)
        self.requests.append(seen)
        response = await self.respond(request)
        seen.status = response.status
        return response

    async def respond(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    def count(self, pattern: str, method: str = "GET") -> int:
        """How many requests of this kind came."""
        return sum(seen.method == method and bool(re.search(pattern, seen.path)) for seen in self.requests)


class FaultyProxy(Server):
    """Passes everything on to `target`, but for what a fault says. The first fault that fits is used."""

    def __init__(self, target: str, *, ranges: bool = True) -> None:
        super().__init__()
        self.target = target
        self.ranges = ranges  # False: Range headers are ignored
        self.faults: list[Fault] = []
        self.cuts: list[int] = []  # of the next uploads: bytes that arrive before the connection breaks

    def fault(
        self, pattern: str, handler: Handler, *, times: int = 1, methods: tuple[str, ...] = ("GET",)
    ) -> None:
        self.faults.append(Fault(re.compile(pattern), handler, times, methods))

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if self.cuts and request.method == "PATCH":
            return await self._cut(request, self.cuts.pop(0))
        status, headers, body = await self._forward(request, await request.read())
        for fault in self.faults:
            if fault.times and request.method in fault.methods and fault.pattern.search(request.path_qs):
                fault.times -= 1
                return await fault.handler(request, status, headers, body)
        return web.Response(status=status, headers=_without_length(request, headers), body=body)

    async def _cut(self, request: web.Request, keep: int) -> web.StreamResponse:
        """Let the registry have the beginning of an upload, then break the connection."""
        await self._forward(request, await request.content.readexactly(keep))
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _forward(self, request: web.Request, data: bytes) -> tuple[int, dict[str, str], bytes]:
        dropped = (_HOP_BY_HOP | (set() if self.ranges else {"range"})) - {"host"}
        passed = {name: text for name, text in request.headers.items() if name.lower() not in dropped}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, self.target + request.path_qs, headers=passed, data=io.BytesIO(data),
                allow_redirects=False,
            ) as response,
        ):  # fmt: skip
            kept = {name: text for name, text in response.headers.items() if name.lower() not in _HOP_BY_HOP}
            if request.method == "HEAD":
                kept["X-Length"] = response.headers.get("Content-Length", "0")
            return response.status, kept, await response.read()


@dataclass
class Grant:
    """One token that was issued."""

    token: str
    account: str
    scope: str
    method: str


@dataclass
class TokenPolicy:
    """What the token server gives to whom."""

    users: dict[str, str] = field(default_factory=dict)  # name: password
    refresh_tokens: dict[str, str] = field(default_factory=dict)  # token: name
    public: bool = True  # whether anonymous users get tokens that are worth something
    lifetime: int = 300  # seconds, as the answer says


class TokenServer(Server):
    """Docker's token server: GET with basic authentication, POST with refresh tokens."""

    def __init__(self, policy: TokenPolicy) -> None:
        super().__init__()
        self.policy = policy
        self.grants: list[Grant] = []

    async def respond(self, request: web.Request) -> web.StreamResponse:
        fields: Any = await request.post() if request.method == "POST" else request.query
        if request.method == "POST":
            account = self.policy.refresh_tokens.get(str(fields.get("refresh_token")), "")
            wrong = not account or fields.get("grant_type") != "refresh_token" or not fields.get("client_id")
        else:
            account, wrong = self._basic(request.headers.get("Authorization", ""))
        if wrong:
            return web.json_response({"details": "incorrect username or password"}, status=401)
        scope = " ".join(map(str, fields.getall("scope", [])))
        grant = Grant(f"token-{len(self.grants)}", account, scope, request.method)
        self.grants.append(grant)
        name = "access_token" if request.method == "POST" else "token"
        given: dict[str, Any] = {name: grant.token, "expires_in": self.policy.lifetime}
        if fields.get("offline_token") == "true" and account:
            given["refresh_token"] = next(
                token for token, name in self.policy.refresh_tokens.items() if name == account
            )
        return web.json_response(given)

    def _basic(self, header: str) -> tuple[str, bool]:
        """Return the account, and whether the proof was wrong."""
        if not header:
            return "", False
        name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return name, self.policy.users.get(name) != password

    def valid(self, header: str, scope: str) -> bool:
        """Whether a bearer token was issued for `scope` to somebody who may use it."""
        return any(
            f"Bearer {grant.token}" == header
            and (not scope or allowed(scope) <= allowed(grant.scope))
            and (grant.account or self.policy.public)
            for grant in self.grants
        )


def allowed(scope: str) -> set[tuple[str, str]]:
    """The repositories and actions of scopes with blanks between."""
    parts = (one.rpartition(":") for one in scope.split())
    return {(name, action) for name, _, actions in parts for action in actions.split(",")}


class TokenProxy(FaultyProxy):
    """A registry that wants the tokens of a token server."""

    def __init__(self, target: str, tokens: TokenServer) -> None:
        super().__init__(target)
        self.tokens = tokens

    async def respond(self, request: web.Request) -> web.StreamResponse:
        match = re.fullmatch(r"/v2/(.+)/(?:manifests|blobs|tags)/.*", request.path)
        actions = "pull" if request.method in ("GET", "HEAD") else "pull,push"
        scope = f"repository:{match[1]}:{actions}" if match else ""
        if source := request.query.get("from"):
            scope += f" repository:{source}:pull"
        header = request.headers.get("Authorization", "")
        if self.tokens.valid(header, scope):
            return await super().respond(request)
        challenge = f'Bearer realm="{self.tokens.url}/token",service="test"'
        challenge += f',scope="{scope}"' if scope else ""
        challenge += ',error="insufficient_scope"' if header else ""
        body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        return web.Response(status=401, headers={"WWW-Authenticate": challenge}, body=json.dumps(body).encode())
