"""The client of all registries: configuration, connections and tokens that its repositories share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from proa.errors import InvalidArgument, ProaError, Unauthorized
from proa.oci.reference import DEFAULT_DOMAIN, LEGACY_DEFAULT_DOMAIN, Reference
from proa.registry import challenge
from proa.registry.credentials import ANONYMOUS, Credentials
from proa.registry.endpoint import Endpoint
from proa.registry.failures import NO_CREDENTIALS, Refused, RequestFailed, inspect_error, refused_login
from proa.registry.hosts import HUB, Hosts
from proa.registry.proxies import Proxies
from proa.registry.repository import Repository
from proa.registry.requests import Identity, Patience, Requester
from proa.registry.search import Found, search
from proa.registry.target import Target
from proa.registry.tokens import Authorizer
from proa.registry.transport import Transport, refused

CERTIFICATES = Path("/etc/docker/certs.d")
STALL_TIMEOUT = 30.0  # seconds

Notice = Callable[[str], object]


def _nothing(text: str) -> None:
    """Where nobody is told."""


class Registry:
    """Talks to registries on one event loop. `close` it there."""

    def __init__(
        self,
        *,
        mirrors: Sequence[str] = (),
        insecure: Sequence[str] = (),
        places: Sequence[Path] = (),
        certificates: Path = CERTIFICATES,
        proxies: Proxies | None = None,
        stall_timeout: float = STALL_TIMEOUT,
        patience: Patience | None = None,
    ) -> None:
        """Take dockerd's settings: URLs of docker.io's mirrors; host:port or networks of insecure ones; a
        directory like /etc/docker/certs.d; proxies, else the environment's. `places` are directories with
        HOST/hosts.toml and registries.conf. Raises `InvalidArgument`."""
        self._hosts = Hosts(mirrors, insecure, places)
        self._transport = Transport(certificates, stall_timeout, proxies or Proxies.of_environment())
        self._authorizer = Authorizer(self._transport, self._hosts)
        self._requester = Requester(self._transport, self._authorizer, patience or Patience())

    def warnings(self) -> list[str]:
        """Return what is wrong, or has no meaning, in registries.conf."""
        return self._hosts.warnings()

    async def close(self) -> None:
        """Close the connections. Later requests would open new ones."""
        await self._transport.close()

    def repository(
        self,
        reference: Reference,
        credentials: Credentials | None = None,
        headers: Mapping[str, str] | None = None,
        notice: Notice = _nothing,
        *,
        insecure: bool = False,
    ) -> Repository:
        """Return the repository of `reference`; nothing is sent yet. `headers` (Docker's X-Meta-…) go to the
        registry as they are; `notice` hears of waits and of mirrors that are given up. `insecure`: the
        registry may do without a known certificate, or without TLS."""
        identity = Identity(credentials or ANONYMOUS, headers or {})
        return Repository(self._requester, self._hosts, reference, identity, notice=notice, insecure=insecure)

    def target(
        self,
        reference: Reference,
        credentials: Credentials | None = None,
        headers: Mapping[str, str] | None = None,
        notice: Notice = _nothing,
        *,
        insecure: bool = False,
    ) -> Target:
        """Return the repository of `reference` to push to; nothing is sent yet."""
        identity = Identity(credentials or ANONYMOUS, headers or {})
        return Target(self._requester, self._hosts, reference, identity, notice, insecure)

    def inspected(
        self, reference: Reference, credentials: Credentials | None = None, *, insecure: bool = False
    ) -> Repository:
        """Return the repository of `reference` for one who only looks: errors are the registry's own words."""
        identity = Identity(credentials or ANONYMOUS)
        return Repository(self._requester, self._hosts, reference, identity, inspect_error, insecure=insecure)

    async def search(
        self,
        term: str,
        limit: int = 0,
        credentials: Credentials | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[Found]:
        """Return what a registry has under `term`, at most `limit`, in its order; 0 is Docker's usual number."""
        return await search(self._transport, self._hosts, term, limit, credentials or ANONYMOUS, headers or {})

    async def login(self, server: str, credentials: Credentials) -> str:
        """Check credentials at a registry (`server` as in Docker's AuthConfig) and return an identity token,
        "" when the registry issues none. Raises `Unauthorized` in dockerd's words."""
        domain = _login_domain(server)
        # A rule for all of a registry counts here as well.
        endpoints = await self._hosts.endpoints(domain, Reference(domain, "login"))
        own = [endpoint for endpoint in endpoints if not endpoint.mirror]
        for endpoint in own:
            try:
                token = await self._login(endpoint, credentials)
            except RequestFailed:
                if endpoint is own[-1]:
                    raise
                continue
            self._hosts.remember(endpoint)
            return token
        raise InvalidArgument(f'no registry is called "{server}"')

    async def _login(self, endpoint: Endpoint, credentials: Credentials) -> str:
        url = f"{endpoint.api}/"
        async with self._transport.send("GET", url, {}, verify=endpoint.verify, tls=endpoint.tls) as response:
            if response.status == 200:
                return ""
            asked = challenge.parse(response.headers.getall("WWW-Authenticate", []))
            error = await refused(response, "GET", url)
        bearer = next((item for item in asked if item.scheme == "bearer"), None)
        identity_token, proof = "", credentials.basic
        if bearer:
            try:
                token = await self._authorizer.token(endpoint, bearer, credentials, "", offline=True)
            except Refused as refusal:
                raise _explained(refusal, url) from refusal
            identity_token, proof = token.refresh_token, f"Bearer {token.value}"
        elif response.status != 401 or not asked:
            raise _explained(error, url)
        elif not proof:
            raise Unauthorized(f'Get "{url}": {NO_CREDENTIALS}')
        headers = {"Authorization": proof}
        async with self._transport.send("GET", url, headers, verify=endpoint.verify, tls=endpoint.tls) as response:
            if response.status != 200:
                raise refused_login(url, response.status)
        return identity_token


def _explained(error: Refused, url: str) -> ProaError:
    if error.status in (401, 403):
        return Unauthorized(f'Get "{url}": {error}')
    return error


def _login_domain(server: str) -> str:
    """Return the domain of what `docker login` calls a server: a host, or a URL, "" for Docker Hub."""
    host = urlsplit(server).netloc if "://" in server else server.partition("/")[0]
    return DEFAULT_DOMAIN if host in ("", LEGACY_DEFAULT_DOMAIN, DEFAULT_DOMAIN, HUB) else host
