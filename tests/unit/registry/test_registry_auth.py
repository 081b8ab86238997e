"""Proofs of identity: basic, bearer and refresh tokens, and whom they are (not) shown to."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from proa.errors import Forbidden, NotFound, ProaError, Unauthorized, Unavailable
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Credentials, Registry, challenge
from rig.faults import FaultyProxy, Server, TokenPolicy, TokenProxy, TokenServer, answer
from rig.images import Image
from rig.registry import PASSWORD, USER
from rig.registry import Registry as RealRegistry

AMD64 = Platform("linux", "amd64")
GOOD, WRONG = Credentials(USER, PASSWORD), Credentials(USER, "wrong")
BASIC = GOOD.basic


async def resolve(client: Registry, address: str, credentials: Credentials | None = None) -> str:
    reference = Reference.parse(f"{address}/team/app")
    return (await client.repository(reference, credentials).resolve(AMD64)).digest


# Basic authentication, by a real registry with an htpasswd file


async def test_a_password_opens(client: Registry, locked: RealRegistry, image: Image) -> None:
    assert await resolve(client, locked.address, GOOD) == image.digest


async def test_without_a_password_there_is_nothing_to_show(client: Registry, locked: RealRegistry) -> None:
    with pytest.raises(Forbidden, match=f'Get "http://{locked.address}/v2/": no basic auth credentials'):
        await resolve(client, locked.address)


async def test_a_wrong_password_is_told(client: Registry, locked: RealRegistry) -> None:
    with pytest.raises(Forbidden, match="unauthorized: authentication required"):
        await resolve(client, locked.address, WRONG)
    await resolve(client, locked.address, GOOD)  # what was learnt does not stick to the host


async def test_login_with_a_password(client: Registry, locked: RealRegistry, origin: RealRegistry) -> None:
    assert await client.login(locked.address, GOOD) == ""
    assert await client.login(f"http://{locked.address}/v1/", GOOD) == ""
    assert await client.login(origin.address, WRONG) == ""  # it asks nobody
    url = f"http://{locked.address}/v2/"
    with pytest.raises(Unauthorized, match=f"login attempt to {url} failed with status: 401 Unauthorized"):
        await client.login(locked.address, WRONG)
    with pytest.raises(Unauthorized, match=f'^Get "{url}": no basic auth credentials$'):
        await client.login(locked.address, Credentials())


# Tokens


@pytest.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    policy = TokenPolicy(users={USER: PASSWORD}, refresh_tokens={"refresh-me": USER})
    async with TokenServer(policy) as started:
        yield started


@pytest.fixture
async def guarded(origin: RealRegistry, image: Image, tokens: TokenServer) -> AsyncIterator[TokenProxy]:
    async with TokenProxy(origin.url, tokens) as started:
        yield started


async def test_an_anonymous_token_is_fetched_once(
    client: Registry, guarded: TokenProxy, tokens: TokenServer, image: Image
) -> None:
    repository = client.repository(Reference.parse(f"{guarded.address}/team/app"))
    resolved = await repository.resolve(AMD64)
    await asyncio.gather(*(repository.read(resolved.manifest.config, 1 << 20) for _ in range(4)))
    assert [(g.account, g.scope) for g in tokens.grants] == [("", "repository:team/app:pull")]
    assert tokens.requests[0].path.startswith("/token?service=test&scope=repository%3Ateam%2Fapp%3Apull")
    assert [seen.status for seen in guarded.requests].count(401) == 1
    again = client.repository(Reference.parse(f"{guarded.address}/team/app"))
    await again.resolve(AMD64)
    assert len(tokens.grants) == 1


async def test_simultaneous_requests_share_one_exchange(
    client: Registry, guarded: TokenProxy, tokens: TokenServer
) -> None:
    await asyncio.gather(*(resolve(client, guarded.address) for _ in range(5)))
    assert len(tokens.grants) == 1


async def test_a_user_gets_his_own_token(client: Registry, guarded: TokenProxy, tokens: TokenServer) -> None:
    tokens.policy.public = False
    denied = "pull access denied for .*/team/app, repository does not exist or may require 'docker login': denied:"
    with pytest.raises(NotFound, match=denied):
        await resolve(client, guarded.address)
    await resolve(client, guarded.address, GOOD)
    with pytest.raises(NotFound, match=denied):
        await resolve(client, guarded.address)
    assert {grant.account for grant in tokens.grants} == {"", USER}
    assert any(f"account={USER}" in seen.path for seen in tokens.requests)
    assert BASIC not in [seen.headers.get("authorization") for seen in guarded.requests]


async def test_a_wrong_password_at_the_token_server(client: Registry, guarded: TokenProxy) -> None:
    with pytest.raises(Forbidden, match="unauthorized: incorrect username or password"):
        await resolve(client, guarded.address, WRONG)


async def test_an_identity_token_is_exchanged(client: Registry, guarded: TokenProxy, tokens: TokenServer) -> None:
    tokens.policy.public = False
    await resolve(client, guarded.address, Credentials("ignored", "ignored", identity_token="refresh-me"))
    assert [(g.account, g.method) for g in tokens.grants] == [(USER, "POST")]


async def test_a_registry_token_is_sent_as_it_is(
    client: Registry, guarded: TokenProxy, tokens: TokenServer
) -> None:
    await resolve(client, guarded.address)
    fresh = Registry()
    await resolve(fresh, guarded.address, Credentials(registry_token=tokens.grants[0].token))
    with pytest.raises(ProaError):
        await resolve(fresh, guarded.address, Credentials(registry_token="of another"))
    await fresh.close()
    assert len(tokens.grants) == 1


async def test_a_revoked_token_is_replaced(client: Registry, guarded: TokenProxy, tokens: TokenServer) -> None:
    await resolve(client, guarded.address)
    tokens.grants[0].token = "not what the client has"
    await resolve(client, guarded.address)
    assert len(tokens.grants) == 2


async def test_login_returns_an_identity_token(client: Registry, guarded: TokenProxy) -> None:
    assert await client.login(guarded.address, GOOD) == "refresh-me"
    with pytest.raises(Unauthorized, match=r'^Get "http://.*/v2/": unauthorized: incorrect username or password$'):
        await client.login(guarded.address, WRONG)


class Odd(Server):
    """Answers whatever a test wants."""

    def __init__(self, status: int, body: bytes = b"", **headers: str) -> None:
        super().__init__()
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def respond(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=self.status, headers=self.headers, body=self.body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token":""}', b'{"token":"a\\nb"}', b"x" * (2 << 20)])
async def test_bad_answers_of_token_servers(client: Registry, body: bytes) -> None:
    async with Odd(200, body) as tokens:
        challenge_text = f'Bearer realm="{tokens.url}/token"'
        async with Odd(401, WWW_Authenticate=challenge_text) as registry:
            with pytest.raises(Unavailable, match="token"):
                await resolve(client, registry.address)


@pytest.mark.parametrize("realm", ["", "file:///etc/passwd", "//nowhere", "gopher://x/"])
async def test_bad_realms(client: Registry, realm: str) -> None:
    async with Odd(401, WWW_Authenticate=f'Bearer realm="{realm}"') as registry:
        with pytest.raises(Unavailable, match="invalid token server"):
            await resolve(client, registry.address, GOOD)


# Whom a secret is shown to


async def test_a_redirect_to_another_host_gets_no_proof(
    client: Registry, locked: RealRegistry, image: Image
) -> None:
    """As registries do that keep blobs in an object store."""
    blob = next(iter(image.blobs))
    async with Odd(200, image.blobs[blob]) as storage, FaultyProxy(locked.url) as proxy:
        proxy.fault("blobs", answer(307, Location=f"{storage.url}/stored?signature=a%2Fb"), times=9)
        reference = Reference.parse(f"{proxy.address}/team/app")
        repository = client.repository(reference, GOOD, {"X-Meta-Team": "a"})
        resolved = await repository.resolve(AMD64)
        assert await repository.read(resolved.manifest.config, 1 << 20) == image.blobs[blob]
        assert BASIC in [seen.headers.get("authorization") for seen in proxy.requests]
        assert {seen.headers.get("x-meta-team") for seen in proxy.requests} == {"a"}
        (seen,) = storage.requests
    assert seen.path == "/stored?signature=a%2Fb"
    assert {"authorization", "x-meta-team", "cookie"} & set(seen.headers) == set()


async def test_a_redirect_on_the_same_host_keeps_it(client: Registry, locked: RealRegistry, image: Image) -> None:
    async with FaultyProxy(locked.url) as proxy:
        proxy.fault("manifests/latest", answer(308, Location=f"/v2/team/app/manifests/{image.digest}"), times=2)
        assert await resolve(client, proxy.address, GOOD) == image.digest


async def test_redirects_end(client: Registry, proxy: FaultyProxy) -> None:
    proxy.fault("manifests", answer(302, Location="/v2/team/app/manifests/latest"), times=999)
    with pytest.raises(Unavailable, match="stopped after 10 redirects"):
        await resolve(client, proxy.address)


@pytest.mark.parametrize("location", ["ftp://x/y", "file:///etc/passwd"])
async def test_redirects_lead_to_http_only(client: Registry, proxy: FaultyProxy, location: str) -> None:
    proxy.fault("manifests", answer(302, Location=location), times=9)
    with pytest.raises(Unavailable, match="redirects to an"):
        await resolve(client, proxy.address)


# Challenges

CHALLENGES = {
    'Bearer realm="https://a/token",service="r",scope="repository:x:pull"': [
        ("bearer", {"realm": "https://a/token", "service": "r", "scope": "repository:x:pull"})
    ],
    "Basic realm=x": [("basic", {"realm": "x"})],
    'Basic realm="a, b=\\"c\\"", Bearer realm="d"': [
        ("basic", {"realm": 'a, b="c"'}), ("bearer", {"realm": "d"}),
    ],
    "Negotiate, Basic realm=x": [("negotiate", {}), ("basic", {"realm": "x"})],
    "BEARER Realm = \"x\" , SERVICE=y": [("bearer", {"realm": "x", "service": "y"})],
    'Bearer realm="unfinished': [("bearer", {"realm": ""})],
    "": [],
    "\x00\x01,,,===": [],
    'realm="no scheme"': [],
    'Bearer realm="a",realm="b"': [("bearer", {"realm": "a"})],
    "Bearer " + "x" * 100_000: [("bearer", {})],
}  # fmt: skip


@pytest.mark.parametrize("header", CHALLENGES, ids=lambda text: ascii(text[:30]))
def test_challenges(header: str) -> None:
    found = [(item.scheme, item.parameters) for item in challenge.parse([header])]
    expected = CHALLENGES[header]
    if header.endswith(("unfinished", "x" * 10)):  # only what stands before the damage counts
        assert found[0][0] == expected[0][0]
    else:
        assert found == expected


def test_secrets_do_not_show_in_logs() -> None:
    shown = repr(Credentials("me", "hidden", "hidden", "hidden"))
    assert "hidden" not in shown
    assert base64.b64decode(Credentials("me", "pä:ss").basic[6:]).decode() == "me:pä:ss"
