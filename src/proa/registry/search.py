"""Searching a registry: the one request of the old API (version 1) that is still served, by Docker Hub and few
others.

A term may begin with the registry to ask, "quay.example/redis"; else it is Docker Hub's index.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from proa.errors import Internal, InvalidArgument
from proa.oci.reference import DEFAULT_DOMAIN, LEGACY_DEFAULT_DOMAIN, OFFICIAL_PREFIX
from proa.registry.credentials import Credentials
from proa.registry.endpoint import Endpoint
from proa.registry.failures import RequestFailed
from proa.registry.hosts import Hosts
from proa.registry.transport import Transport, read_limited

LEAST, MOST, USUAL = 1, 100, 25  # results
_MAX_ANSWER = 4 << 20  # bytes


class Found(msgspec.Struct, kw_only=True):
    """One repository that suits a term."""

    name: str = ""
    description: str = ""
    star_count: int = 0
    is_official: bool = False


class _Answer(msgspec.Struct):
    results: list[Found] | None = None


async def search(
    transport: Transport,
    hosts: Hosts,
    term: str,
    limit: int,
    credentials: Credentials,
    headers: Mapping[str, str],
) -> list[Found]:
    """Ask a registry; `limit` 0 is the usual number. Raises in dockerd's words."""
    if not limit:
        limit = USUAL
    if not LEAST <= limit <= MOST:
        raise InvalidArgument(f"limit {limit} is outside the range of [{LEAST}, {MOST}]")
    if "://" in term:
        raise InvalidArgument(f"invalid repository name: repository name ({term}) should not have a scheme")
    domain, rest = _split(term)
    if domain == DEFAULT_DOMAIN:
        endpoint = Endpoint("https", LEGACY_DEFAULT_DOMAIN)
        rest = rest.removeprefix(OFFICIAL_PREFIX)
    else:
        own = [endpoint for endpoint in await hosts.endpoints(domain) if not endpoint.mirror]
        endpoint = await _reached(transport, own, domain, headers)
    url = f"{endpoint.url}/v1/search?{urlencode({'q': rest, 'n': limit})}"
    sent = {**headers, "X-Docker-Token": "true"}
    if credentials.basic:
        sent["Authorization"] = credentials.basic
    async with transport.send("GET", url, sent, verify=endpoint.verify, tls=endpoint.tls) as response:
        if response.status != 200:
            raise Internal(f"Unexpected status code {response.status}")
        body = await read_limited(response, _MAX_ANSWER, "the list of search results")
    try:
        return msgspec.json.decode(body, type=_Answer).results or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Internal(f"error decoding registry search results: {error}") from None


def _split(term: str) -> tuple[str, str]:
    """Split off the registry: what stands before a slash and has a dot or a colon, or is localhost."""
    first, slash, rest = term.partition("/")
    if not slash or ("." not in first and ":" not in first and first != "localhost"):
        return DEFAULT_DOMAIN, term
    return (DEFAULT_DOMAIN if first in (DEFAULT_DOMAIN, LEGACY_DEFAULT_DOMAIN) else first), rest


async def _reached(
    transport: Transport, endpoints: list[Endpoint], domain: str, headers: Mapping[str, str]
) -> Endpoint:
    """Return the way to a registry that answers at all; one that may do without encryption is asked both ways."""
    failures: list[str] = []
    for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.scheme != "https"):
        try:
            url = f"{endpoint.url}/v1/_ping"
            async with transport.send("GET", url, headers, verify=endpoint.verify, tls=endpoint.tls):
                return endpoint
        except RequestFailed as error:
            failures.append(error.message)
    if len(failures) > 1:
        raise InvalidArgument(
            f'invalid registry endpoint "http://{domain}/v1/". HTTPS attempt: {failures[0]}. '
            f"HTTP attempt: {failures[1]}"
        )
    raise InvalidArgument(
        f"invalid registry endpoint https://{domain}/v1/: {failures[0]}. If this private registry supports only "
        "HTTP or HTTPS with an unknown CA certificate, please add `--insecure-registry "
        f"{domain}` to the daemon's arguments. In the case of HTTPS, if you have access to the registry's CA "
        "certificate, no need for the flag; simply place the CA certificate at "
        f"/etc/docker/certs.d/{domain}/ca.crt"
    )
