"""HTTP for registries: one session, certificates per host, redirects that leak no secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from proa import __version__
from proa.errors import InvalidArgument, Unavailable
from proa.registry import challenge
from proa.registry.failures import MAX_BODY, Answer, Refused, RequestFailed, explain, refusal
from proa.registry.proxies import Proxies
from proa.registry.tls import NO_FILES, Contexts, Tls, of_directory

if TYPE_CHECKING:
    import ssl

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

    def __init__(self, certificates: Path, stall_timeout: float, proxies: Proxies) -> None:
        self._certificates = certificates
        self._proxies = proxies
        self.stall_timeout = stall_timeout  # seconds without a byte after which a connection is given up
        self._session: aiohttp.ClientSession | None = None
        self._contexts = Contexts()

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
        tls: Tls = NO_FILES,
        connect_timeout: float = 0,
        form: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and follow redirects; the response's body is read inside the block.

        `tls` is what this registry needs beside the directory of certificates, also where it redirects to;
        `connect_timeout` of each address, in seconds, 0 for the usual one. `body` is called for the bytes to send
        each time they are sent. Raises `RequestFailed` when no answer comes, also while the body is read. Answers
        are not judged.
        """
        import aiohttp
        from yarl import URL

        session = self._open()
        target, sent = URL(url, encoded=True), {"User-Agent": USER_AGENT, **headers}
        try:
            for _ in range(MAX_REDIRECTS + 1):
                context = self._context(target, verify, tls)
                connecting = connect_timeout or CONNECT_TIMEOUT
                response = await self._request(session, method, target, sent, context, connecting, form, body)
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
        context: ssl.SSLContext | bool,
        connect_timeout: float,
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
            ssl=context,
            proxy=self._proxies.of(target.scheme, target.host or "", target.port or 0) or None,
        )
        if body is None:
            usual = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=self.stall_timeout)
            return await ask(data=form, timeout=usual)
        # The answer comes when the registry has stored it all; a connection that takes nothing is given up.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=COMMIT_TIMEOUT)
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
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # digests are of the bytes as they are stored
                read_bufsize=READ_BUFFER,
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
                skip_auto_headers=("Accept-Encoding",),
            )
        return self._session

    def _context(self, url: URL, verify: bool, tls: Tls) -> ssl.SSLContext | bool:
        if url.scheme != "https":
            return True
        return self._contexts.get(of_directory(_certificate_directory(self._certificates, url)) + tls, verify)


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


def _certificate_directory(certificates: Path, url: URL) -> Path:
    """Docker's rule: certs.d/host:port; the port is left out when it is the scheme's own."""
    exact = certificates / f"{url.host}:{url.port}"
    return exact if exact.is_dir() else certificates / (url.host or "-")


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
    told = [response.headers.get(name, "") for name in ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining")]
    return refusal(Answer(method, url, response.status, body, challenges, *told))
