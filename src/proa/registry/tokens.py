"""Proving who one is: basic and bearer authentication (Docker's token specification, OAuth 2).

A registry's challenge is remembered, so that later requests carry their proof at once; tokens are kept per
scope until they expire, and simultaneous requests for one token share one exchange.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit
from weakref import WeakValueDictionary

import msgspec

from proa.errors import Forbidden, Unavailable
from proa.registry.challenge import Challenge
from proa.registry.credentials import ANONYMOUS, Credentials
from proa.registry.endpoint import Endpoint
from proa.registry.failures import NO_CREDENTIALS
from proa.registry.hosts import Hosts
from proa.registry.transport import Transport, read_limited, refused

CLIENT_ID = "proa"
MAX_ANSWER = 1 << 20  # bytes
DEFAULT_LIFETIME = 60.0  # seconds, when the server does not say (token specification)
MARGIN = 5.0  # seconds before its end that a token is not used any more
MAX_TOKENS = 1024


_Key = tuple[str, str, str, Credentials]  # realm, service, scope, whose


class _TokenAnswer(msgspec.Struct):
    token: str = ""
    access_token: str = ""  # OAuth 2's name for the same
    refresh_token: str = ""
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; `expires` is on the monotonic clock."""

    value: str
    expires: float
    refresh_token: str = ""


class Authorizer:
    """Makes Authorization headers. One per client of registries, for all hosts and users."""

    def __init__(self, transport: Transport, hosts: Hosts) -> None:
        self._transport = transport
        self._hosts = hosts
        self._challenges: dict[str, Challenge] = {}
        self._tokens: dict[_Key, Token] = {}
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()

    async def header(self, endpoint: Endpoint, credentials: Credentials, scope: str) -> str:
        """Return what the first request should carry, from what was learnt before; "" for nothing."""
        if credentials.registry_token and not endpoint.mirror:
            return f"Bearer {credentials.registry_token}"
        challenge = self._challenges.get(endpoint.url)
        if challenge is None:
            return ""
        return await self._answer(endpoint, challenge, _for(endpoint, credentials), scope)

    async def challenged(
        self,
        endpoint: Endpoint,
        challenges: Sequence[Challenge],
        credentials: Credentials,
        scope: str,
        rejected: str,
    ) -> str:
        """Return what a request must carry after a 401, or "" when there is no better proof than `rejected`.

        Raises `Forbidden` when the registry asks for a password and there is none.
        """
        if credentials.registry_token:
            return ""
        known = {challenge.scheme: challenge for challenge in reversed(challenges)}
        challenge = known.get("bearer") or known.get("basic")
        if challenge is None:
            return ""
        self._challenges[endpoint.url] = challenge
        credentials = _for(endpoint, credentials)
        self._forget(rejected)
        header = await self._answer(endpoint, challenge, credentials, _wider(scope, challenge["scope"]))
        if not header and challenge.scheme == "basic":
            raise Forbidden(f'Get "{endpoint.url}/v2/": {NO_CREDENTIALS}')
        return header if header != rejected else ""

    async def token(
        self, endpoint: Endpoint, challenge: Challenge, credentials: Credentials, scope: str, *,
        offline: bool = False,
    ) -> Token:  # fmt: skip
        """Return a valid bearer token, from the cache or from the token server. `offline` asks for a refresh
        token as well, for logins."""
        realm, service = challenge["realm"], challenge["service"]
        key = (realm, service, scope, credentials)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            cached = self._tokens.get(key)
            if cached and not offline and cached.expires > time.monotonic():
                return cached
            await self._check_realm(endpoint, realm, credentials)
            token = await self._exchange(endpoint, realm, service, scope, credentials, offline)
            if len(self._tokens) >= MAX_TOKENS:
                self._tokens.clear()
            self._tokens[key] = token
        return token

    def _forget(self, header: str) -> None:
        """Drop a token that the registry refused: it was revoked, or the clock is wrong."""
        value = header.removeprefix("Bearer ")
        self._tokens = {key: token for key, token in self._tokens.items() if token.value != value}

    async def _answer(self, endpoint: Endpoint, challenge: Challenge, credentials: Credentials, scope: str) -> str:
        if challenge.scheme == "basic":
            return credentials.basic
        token = await self.token(endpoint, challenge, credentials, scope)
        return f"Bearer {token.value}"

    async def _check_realm(self, endpoint: Endpoint, realm: str, credentials: Credentials) -> None:
        """Refuse to send a secret of a trusted registry in the clear because a challenge says so."""
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Unavailable(f'registry {endpoint.host} names an invalid token server "{realm}"')
        if parts.scheme == "http" and credentials and endpoint.scheme == "https" and endpoint.verify:
            raise Forbidden(f"registry {endpoint.host} wants credentials sent unencrypted to {parts.netloc}")

    async def _exchange(
        self,
        endpoint: Endpoint,
        realm: str,
        service: str,
        scope: str,
        credentials: Credentials,
        offline: bool,
    ) -> Token:
        """Ask the token server: OAuth 2 with an identity token, else Docker's GET with a password."""
        query = {"service": service} if service else {}
        headers = {}
        form: dict[str, str] | None = None
        if credentials.identity_token:
            form = {
                **query,
                **({"scope": scope} if scope else {}),
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "client_id": CLIENT_ID,
            }
            url = realm
        else:
            if credentials.username:
                query["account"] = credentials.username
                headers["Authorization"] = credentials.basic
            if offline:
                query |= {"offline_token": "true", "client_id": CLIENT_ID}
            pairs = [*query.items(), *(("scope", one) for one in scope.split())]
            url = realm + ("&" if "?" in realm else "?") + urlencode(pairs)
        method = "POST" if form else "GET"
        verify = endpoint.verify and not await self._hosts.is_insecure(urlsplit(realm).netloc)
        async with self._transport.send(
            method, url, headers, verify=verify, tls=endpoint.tls, form=form
        ) as response:
            if response.status != 200:
                raise await refused(response, method, realm)
            body = await read_limited(response, MAX_ANSWER, "the answer of the token server")
        return _parse_token(body, realm)


def _for(endpoint: Endpoint, credentials: Credentials) -> Credentials:
    """A mirror is another's server: it gets nobody's password."""
    return ANONYMOUS if endpoint.mirror else credentials


def _wider(wanted: str, asked_for: str) -> str:
    """Return the scope for a token: what a request is part of, unless its challenge asks for more than that.

    Scopes are "repository:name:pull,push", several with blanks between.
    """
    actions = {name: set(allowed.split(",")) for name, _, allowed in map(_parts, wanted.split())}
    for name, _, needed in map(_parts, asked_for.split()):
        if not set(needed.split(",")) <= actions.get(name, set()):
            return asked_for
    return wanted or asked_for


def _parts(scope: str) -> tuple[str, str, str]:
    return scope.rpartition(":")


def _parse_token(body: bytes, realm: str) -> Token:
    try:
        answer = msgspec.json.decode(body, type=_TokenAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"invalid answer of token server {realm}: {error}") from None
    value = answer.token or answer.access_token
    if not value or not value.isprintable():
        raise Unavailable(f"token server {realm} returned no token")
    lifetime = max(answer.expires_in or DEFAULT_LIFETIME, DEFAULT_LIFETIME)
    return Token(value, time.monotonic() + lifetime - MARGIN, answer.refresh_token)
