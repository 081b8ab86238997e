"""Which servers are asked, and how much they are trusted."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from proa.errors import InvalidArgument, NotFound, Unavailable
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Credentials, Registry
from proa.registry.hosts import Hosts
from rig import images
from rig.faults import FaultyProxy, answer
from rig.images import Image
from rig.registry import Registry as RealRegistry
from rig.trees import Tree

AMD64 = Platform("linux", "amd64")


async def urls(hosts: Hosts, domain: str) -> list[tuple[str, bool]]:
    return [(endpoint.url, endpoint.verify) for endpoint in await hosts.endpoints(domain)]


async def test_endpoints_follow_dockerds_rules() -> None:
    hosts = Hosts(
        ["https://mirror.example.com/", "http://127.0.0.1:5000/hub"], ["10.1.0.0/16", "reg.example.com:80"]
    )
    assert await urls(hosts, "docker.io") == [
        ("https://mirror.example.com", True),
        ("http://127.0.0.1:5000/hub", False),
        ("https://registry-1.docker.io", True),
    ]
    assert await urls(hosts, "10.2.0.1:5000") == [("https://10.2.0.1:5000", True)]
    assert await urls(hosts, "10.1.2.3") == [("https://10.1.2.3", False), ("http://10.1.2.3", True)]
    for insecure in ("10.1.2.3:5000", "reg.example.com:80", "127.9.9.9", "localhost:1", "[::1]:5000"):
        found = await hosts.endpoints(insecure)
        assert [endpoint.scheme for endpoint in found] == ["https", "http"]
        assert not found[0].verify


async def test_what_answered_is_asked_first() -> None:
    hosts = Hosts()
    https, http = await hosts.endpoints("localhost:5000")
    hosts.remember(http)
    assert await hosts.endpoints("localhost:5000") == [http, https]


async def test_a_mirror_by_its_own_name_is_an_ordinary_registry(proxy: FaultyProxy, origin: RealRegistry) -> None:
    """Else it would get no credentials there either."""
    origin.push(images.build([Tree().file("x")]), "library/both", "latest")
    client = Registry(mirrors=[proxy.url])
    await client.repository(Reference.parse("both")).resolve(AMD64)
    credentials = Credentials(registry_token="mine")
    await client.repository(Reference.parse(f"{proxy.address}/library/both"), credentials).resolve(AMD64)
    assert [seen.headers.get("authorization") for seen in proxy.requests] == [None, "Bearer mine"]
    await client.close()


@pytest.mark.parametrize("mirror", ["mirror", "ftp://x", "http://", "http://u:p@x", "http://x?a=b", "http://x#y"])
def test_bad_mirrors(mirror: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid mirror"):
        Hosts([mirror])


@pytest.mark.parametrize("entry", ["", " ", "10.0.0.0/99", "reg.example.com/path"])
def test_bad_insecure_registries(entry: str) -> None:
    with pytest.raises(InvalidArgument, match="insecure registry"):
        Hosts([], [entry])


# Mirrors of docker.io


async def test_a_mirror_serves_docker_io_without_credentials(proxy: FaultyProxy, origin: RealRegistry) -> None:
    image = origin.push(images.build([Tree().file("x")]), "library/hello", "latest")
    client = Registry(mirrors=[proxy.url])
    repository = client.repository(Reference.parse("hello"), Credentials("me", "secret"))
    resolved = await repository.resolve(AMD64)
    assert resolved.digest == image.digest
    chunks = [chunk async for chunk in repository.fetch(resolved.manifest.layers[0])]
    assert b"".join(chunks) in image.blobs.values()
    assert all("authorization" not in seen.headers for seen in proxy.requests)
    await client.close()


async def test_a_mirror_that_fails_is_passed_over(proxy: FaultyProxy, origin: RealRegistry) -> None:
    image = origin.push(images.build([Tree().file("y")]), "library/second", "latest")
    dead = f"http://127.0.0.1:{free_port()}"
    async with FaultyProxy(origin.url) as ill:
        ill.fault(".", answer(404), times=99, methods=("GET", "HEAD"))
        client = Registry(mirrors=[dead, ill.url, proxy.url])
        repository = client.repository(Reference.parse("second"))
        assert (await repository.resolve(AMD64)).digest == image.digest
        assert ill.requests
        await client.close()


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, crt = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(crt)],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, crt


@pytest.fixture
async def tls(certificate: tuple[Path, Path], image: Image) -> AsyncIterator[str]:
    """host:port of an HTTPS registry that knows one manifest."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=image.document, content_type=image.media_type)

    application = web.Application()
    application.router.add_route("GET", "/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate[1], certificate[0])
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_loopback_registry_may_show_any_certificate(client: Registry, tls: str, image: Image) -> None:
    repository = client.repository(Reference.parse(f"{tls}/team/app"))
    assert (await repository.resolve(AMD64)).digest == image.digest


async def test_others_must_show_a_good_one(
    tls: str, tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]
) -> None:
    monkeypatch.setattr("proa.registry.hosts.LOOPBACK", ("203.0.113.0/24",))
    reference = Reference.parse(f"{tls}/team/app")
    strict = Registry(certificates=tmp_path / "certs.d")
    with pytest.raises(Unavailable, match=r"tls: failed to verify certificate: self.signed certificate"):
        await strict.repository(reference).resolve(AMD64)
    await strict.close()
    (tmp_path / "certs.d" / tls).mkdir(parents=True)
    (tmp_path / "certs.d" / tls / "ca.crt").write_bytes(certificate[1].read_bytes())
    trusting = Registry(certificates=tmp_path / "certs.d")
    assert (await trusting.repository(reference).resolve(AMD64)).digest == image.digest
    await trusting.close()
    (tmp_path / "certs.d" / tls / "broken.crt").write_text("no certificate")
    broken = Registry(certificates=tmp_path / "certs.d")
    with pytest.raises(InvalidArgument, match="cannot use the certificates in"):
        await broken.repository(reference).resolve(AMD64)
    await broken.close()


# Nobody there


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_refused_connections_are_told_as_docker_does(client: Registry) -> None:
    port = free_port()
    with pytest.raises(Unavailable) as caught:
        await client.repository(Reference.parse(f"127.0.0.1:{port}/app")).resolve(AMD64)
    url = f"http://127.0.0.1:{port}/v2/"
    assert caught.value.message == f'Get "{url}": dial tcp 127.0.0.1:{port}: connect: connection refused'


async def test_unknown_hosts_are_told(client: Registry) -> None:
    with pytest.raises(Unavailable, match=r"dial tcp: lookup registry\.invalid: no such host"):
        await client.repository(Reference.parse("registry.invalid/app")).resolve(AMD64)


def test_nothing_is_imported_before_the_first_request() -> None:
    program = "import sys, proa.registry; sys.exit('aiohttp' in sys.modules or 'yarl' in sys.modules)"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0


async def test_an_image_that_no_mirror_has(origin: RealRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proa.registry.hosts.HUB", origin.address)
    monkeypatch.setattr("proa.registry.hosts.Endpoint", _plain_hub(origin.address))
    client = Registry(mirrors=[origin.url])
    with pytest.raises(NotFound, match=r"^manifest for nothing:latest not found: manifest unknown"):
        await client.repository(Reference.parse("nothing")).resolve(AMD64)
    await client.close()


def _plain_hub(address: str):  # type: ignore[no-untyped-def]
    """Make the hub's endpoint one of plain HTTP, since the test has no hub."""
    from proa.registry.hosts import Endpoint

    def make(scheme: str, host: str, *rest: object, **named: object) -> Endpoint:
        return Endpoint("http" if host == address else scheme, host, *rest, **named)  # type: ignore[arg-type]

    return make
