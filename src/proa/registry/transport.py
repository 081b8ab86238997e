"""HTTP for registries: one session, certificates per host, redirects that leak no secret."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from proa import __version__
from proa.errors import InvalidArgument, Unavailable
from proa.registry import challenge
from proa.registry.failures import MAX_BODY, Answer, Refused, RequestFailed, explain, refusal

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

USER_AGENT = f"proa/{__version__}"
CONNECT_TIMEOUT = 15.0  # seconds, for each address
COMMIT_TIMEOUT = 300.0  # seconds that a registry may take to answer when it has all of a blob
MAX_REDIRECTS = 10
READ_BUFFER = 1 << 20  # bytes; what a slow disk lets pile up per download
# Sent to the registry alone: a storage server behind a redirect has no business with them.
_PRIVATE_HEADERS = frozenset({"authorization", "cookie"})

Body = Callable[[], AsyncIterator[bytes]]


class Transport:
    """Requests with retries left to the caller. Usable by one event loop; `close` it there."""

    def __init__(self, certificates: Path, stall_timeout: float) -> None:
        self._certificates = certificates
        self.stall_timeout = stall_timeout  # seconds without a byte after which a connection is given up
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        verify: bool = True,
        form: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and follow redirects; the response's body is read inside the block.

        `body` is called for the bytes to send each time they are sent. Raises `RequestFailed` when no answer
        comes, also while the body is read. Answers are not judged.
        """
        import aiohttp
        from yarl import URL

        session = self._open()
        target, sent = URL(url, encoded=True), {"User-Agent": USER_AGENT, **headers}
        try:
            for _ in range(MAX_REDIRECTS + 1):
                response = await self._request(session, method, target, sent, verify, form, body)
                async with response:
                    following = _location(response)
                    if following is None or form is not None:
                        yield response
                        return
                    if target.scheme == "https" and following.scheme != "https" and verify:
                        raise Unavailable(f'{method.capitalize()} "{url}": redirected from HTTPS to plain HTTP')
                    if following.origin() != target.origin():
                        sent = {key: text for key, text in sent.items() if not _is_private(key)}
                    target = following
        except UnicodeError as error:
            raise InvalidArgument(f'{method.capitalize()} "{url}": no such name of a host can be') from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise explain(method, url, error, self.stall_timeout) from error
        raise Unavailable(f'{method.capitalize()} "{url}": stopped after {MAX_REDIRECTS} redirects')

    async def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        target: URL,
        headers: Mapping[str, str],
        verify: bool,
        form: Mapping[str, str] | None,
        body: Body | None,
    ) -> aiohttp.ClientResponse:
        import aiohttp

        ask = partial(
            session.request,
            method,
            target,
            headers=headers,
            allow_redirects=False,
            ssl=self._tls(target, verify),
            proxy=_proxy(target),
        )
        if body is None:
            return await ask(data=form)
        # The answer comes when the registry has stored it all; a connection that takes nothing is given up.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=COMMIT_TIMEOUT)
        loop = asyncio.get_running_loop()
        answered = False
        async with asyncio.timeout(None) as deadline:

            async def pieces() -> AsyncIterator[bytes]:
                async for piece in body():
                    if not answered:
                        deadline.reschedule(loop.time() + self.stall_timeout)
                    yield piece
                if not answered:
                    deadline.reschedule(None)

            response = await ask(data=pieces(), timeout=timeout)
            answered = True  # perhaps before it has taken everything
            return response

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_TIMEOUT, sock_read=self.stall_timeout
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # digests are of the bytes as they are stored
                read_bufsize=READ_BUFFER,
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
                skip_auto_headers=("Accept-Encoding",),
            )
        return self._session

    def _tls(self, url: URL, verify: bool) -> ssl.SSLContext | bool:
        if url.scheme != "https":
            return True
        host = url.host_port_subcomponent or ""
        key = (host, verify)
        if key not in self._contexts:
            self._contexts[key] = _tls_context(_certificate_directory(self._certificates, url), verify)
        return self._contexts[key]


def _is_private(header: str) -> bool:
    return header.lower() in _PRIVATE_HEADERS or header.lower().startswith("x-meta-")


def _location(response: aiohttp.ClientResponse) -> URL | None:
    """Return where a redirect leads; None when the answer is none."""
    from yarl import URL

    location = response.headers.get("Location")
    if response.status not in (301, 302, 303, 307, 308) or not location:
        return None
    try:
        following = response.url.join(URL(location, encoded=True))
    except ValueError:
        raise Unavailable(f'"{response.url}" redirects to an invalid URL') from None
    if following.scheme not in ("http", "https") or not following.host:
        raise Unavailable(f'"{response.url}" redirects to an unsupported URL')
    return following


def _proxy(url: URL) -> str | None:
    """Return the proxy of the environment for `url`; loopback is never proxied, as in Go."""
    from urllib.request import getproxies_environment, proxy_bypass

    host = url.host or ""
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return None
    proxies = getproxies_environment()
    if not proxies or proxy_bypass(host):
        return None
    return proxies.get(url.scheme)


def _certificate_directory(certificates: Path, url: URL) -> Path:
    """Docker's rule: certs.d/host:port; the port is left out when it is the scheme's own."""
    exact = certificates / f"{url.host}:{url.port}"
    return exact if exact.is_dir() else certificates / (url.host or "-")


def _tls_context(directory: Path, verify: bool) -> ssl.SSLContext:
    """Trust the system's authorities and those in `directory` (*.crt), and show the certificates there."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        for path in sorted(directory.glob("*.crt")):
            context.load_verify_locations(cafile=path)
        for path in sorted(directory.glob("*.cert")):
            context.load_cert_chain(path, path.with_suffix(".key"))
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"cannot use the certificates in {directory}: {error}") from error
    return context


async def read_limited(response: aiohttp.ClientResponse, limit: int, what: str) -> bytes:
    """Read a whole body of at most `limit` bytes."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise Unavailable(f"{what} is larger than {limit} bytes")
    return bytes(body)


async def refused(response: aiohttp.ClientResponse, method: str, url: str) -> Refused:
    """Make an error of a response whose status tells of one."""
    try:
        body = await response.content.read(MAX_BODY)
    except RequestFailed:
        body = b""
    challenges = challenge.parse(response.headers.getall("WWW-Authenticate", []))
    after = response.headers.get("Retry-After", "")
    return refusal(Answer(method, url, response.status, body, challenges, after))
