"""hosts.toml: what containerd's files say here."""

from __future__ import annotations

from pathlib import Path

import pytest

from proa.errors import InvalidArgument, Unavailable
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Credentials, Registry
from proa.registry.endpoint import PULL, PUSH, RESOLVE, Endpoint
from proa.registry.hosts import Hosts
from rig.certificates import Authority
from rig.faults import FaultyProxy
from rig.images import Image
from rig.registry import Registry as RealRegistry

AMD64 = Platform("linux", "amd64")

FULL = """
server = "https://upstream.example/v2"
ca = "/dev/null"

[host."https://one.example"]
  capabilities = ["pull", "resolve"]
  skip_verify = true
  dial_timeout = "1m2.5s"
  [host."https://one.example".header]
    Authorization = "Basic abc"
    X-Several = ["a", "b"]

[host."http://127.0.0.1:5000/v2/project"]
  override_path = true

[host."two.example:5000/cache"]
  client = [["pair.pem", "pair.key"], "both.pem"]
"""


def write(place: Path, host: str, text: str) -> Path:
    directory = place / host
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("pair.pem", "pair.key", "both.pem"):
        (directory / name).touch()
    (directory / "hosts.toml").write_text(text.replace('"/dev/null"', '"both.pem"'))
    return directory


async def test_everything_a_file_may_say(tmp_path: Path) -> None:
    directory = write(tmp_path, "reg.example:5000", FULL)
    one, loopback, two, own = await Hosts(places=[tmp_path]).endpoints("reg.example:5000")
    assert (one.api, one.verify, one.mirror) == ("https://one.example/v2", False, True)
    assert (one.capabilities, one.connect_timeout) == ({PULL, RESOLVE}, 62.5)
    assert one.headers == (("Authorization", "Basic abc"), ("X-Several", "a, b"))
    assert (loopback.api, loopback.verify) == ("http://127.0.0.1:5000/v2/project", False)
    assert loopback.capabilities == {PULL, RESOLVE, PUSH}
    assert (two.api, two.verify) == ("https://two.example:5000/cache/v2", True)
    pair = (directory / "pair.pem", directory / "pair.key")
    assert two.tls.certificates == (pair, (directory / "both.pem", directory / "both.pem"))
    assert (own.api, own.mirror) == ("https://upstream.example/v2", False)
    assert own.tls.authorities == (directory / "both.pem",)
    assert {each.namespace for each in (one, loopback, two, own)} == {"reg.example:5000"}


async def test_a_file_without_server_ends_with_the_registry(tmp_path: Path) -> None:
    write(tmp_path, "docker.io", '[host."https://mirror.example"]')
    write(tmp_path, "localhost:5000", "skip_verify = true")
    hosts = Hosts(["https://another.example"], places=[tmp_path])
    assert [each.url for each in await hosts.endpoints("docker.io")] == [
        "https://mirror.example", "https://registry-1.docker.io",
    ]  # fmt: skip
    found = await hosts.endpoints("localhost:5000")
    assert [(each.url, each.namespace) for each in found] == [
        ("https://localhost:5000", ""), ("http://localhost:5000", ""),
    ]  # fmt: skip


async def test_which_file_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(second, "a.example", 'server = "https://second.example"')
    write(second, "b.example_5000_", 'server = "https://spelled.example"')
    write(first, "_default", 'server = "https://rest.example"')
    hosts = Hosts(places=[first, second])

    async def only(domain: str) -> str:
        (endpoint,) = await hosts.endpoints(domain)
        return endpoint.url

    assert await only("a.example") == "https://second.example"
    write(first, "a.example", 'server = "https://first.example"')  # read each time: no restart
    assert await only("a.example") == "https://first.example"
    assert await only("b.example:5000") == "https://spelled.example"
    assert await only("c.example") == "https://rest.example"
    assert await Hosts(["https://m.example"], places=[first]).endpoints("docker.io") == [
        Endpoint("https", "m.example", mirror=True, capabilities=frozenset({PULL, RESOLVE})),
        Endpoint("https", "registry-1.docker.io"),
    ]  # fmt: skip


BAD = {
    "server = 1": "server: expected a string, not 1",
    'server = "ftp://x"': "server: expected a URL such as https://mirror.example:5000, not 'ftp://x'",
    'server = "https://u:p@x"': "server: a URL takes no user and password",
    'server = "https://x?a=b"': "server: a URL takes no query and no fragment",
    "host = []": r"host: expected a table, not \[\]",
    '[host."https://"]': '"https://": expected a URL',
    '[host."https://x:y"]': '"https://x:y": expected a URL',
    '[host."https://x"]\ncapabilities = ["pul"]': r"capabilities: unknown capability 'pul'; known",
    '[host."https://x"]\nskip_verfy = true': r'host."https://x".skip_verfy: unknown key; known are ca,',
    '[host."https://x"]\nskip_verify = "yes"': "skip_verify: expected a boolean, not 'yes'",
    '[host."https://x"]\nca = "none.pem"': r'host."https://x".ca: no file .*/x.example/none.pem',
    "ca = [1]": r"ca: expected a string or a list of strings, not \[1\]",
    "client = [[]]": "client: expected a file, or a list",
    'client = [["a", "b", "c"]]': "client: expected a file, or a list",
    'dial_timeout = "5"': r'dial_timeout: expected a time such as "5s", not \'5\'',
    '[header]\n"a b" = "c"': 'header."a b": no header can be like this',
    "[header]\na = 1": "header.a: expected a string or a list of strings, not 1",
    "certs = 1": "certs: unknown key; known are",
    "server =": r"Invalid value \(at end of document\)",
}


@pytest.mark.parametrize("text", BAD)
async def test_bad_files(tmp_path: Path, text: str) -> None:
    write(tmp_path, "x.example", text)
    with pytest.raises(InvalidArgument, match=f"^{tmp_path}/x.example/hosts.toml: .*{BAD[text]}"):
        await Hosts(places=[tmp_path]).endpoints("x.example")


async def test_a_mirror_is_told_whose_image_is_wanted(tmp_path: Path, proxy: FaultyProxy, image: Image) -> None:
    text = f'[host."{proxy.url}"]\n[host."{proxy.url}".header]\nX-Key = "k"'
    write(tmp_path, "reg.example", text)
    client = Registry(places=[tmp_path])
    repository = client.repository(Reference.parse("reg.example/team/app"), Credentials("me", "secret"))
    assert (await repository.resolve(AMD64)).digest == image.digest
    (seen,) = proxy.requests
    assert seen.path == "/v2/team/app/manifests/latest?ns=reg.example"
    assert seen.headers["x-key"] == "k"
    assert "authorization" not in seen.headers  # the password is the registry's
    await client.close()


async def test_pushes_go_where_they_may(tmp_path: Path, image: Image) -> None:
    write(tmp_path, "reg.example", '[host."http://127.0.0.1:1"]\ncapabilities = ["pull"]\n')
    (tmp_path / "reg.example/hosts.toml").write_text('server = "http://127.0.0.1:1"\ncapabilities = ["pull"]\n')
    client = Registry(places=[tmp_path])
    with pytest.raises(InvalidArgument, match=r"no server of reg.example has the capability push: configured are"):
        await client.target(Reference.parse("reg.example/a")).push_manifest("1", image.document, image.media_type)
    await client.close()


# TLS, with a registry that wants certificates


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, image: Image) -> RealRegistry:  # type: ignore[misc]
    directory = tmp_path_factory.mktemp("guarded")
    servers, clients = Authority(directory / "servers"), Authority(directory / "clients")
    started = RealRegistry(
        directory / "registry",
        certificate=servers.issue("registry", "server"),
        client=clients.issue("client", "client"),
    ).start()
    started.push(image, "team/app", "latest")
    yield started
    started.stop()


async def digest(client: Registry, name: str) -> str:
    try:
        return (await client.repository(Reference.parse(name)).resolve(AMD64)).digest
    finally:
        await client.close()


async def test_a_certificate_of_hosts_toml(tmp_path: Path, guarded: RealRegistry, image: Image) -> None:
    assert guarded.certificate
    assert guarded.client
    server, ca = f'server = "https://{guarded.address}"\n', f'ca = "{guarded.certificate}/ca.pem"\n'
    client = f'client = [["{guarded.client}/cert.pem", "{guarded.client}/key.pem"]]\n'
    for text, problem in {
        server + client + f'ca = "{guarded.client}/ca.pem"\n': "tls: failed to verify certificate",
        server + ca: r"remote error: tls: (bad certificate|certificate required)$",
    }.items():
        write(tmp_path, "reg.example", text)
        with pytest.raises(Unavailable, match=problem):
            await digest(Registry(places=[tmp_path]), "reg.example/team/app")
    write(tmp_path, "reg.example", server + ca + client)
    assert await digest(Registry(places=[tmp_path]), "reg.example/team/app") == image.digest


@pytest.mark.parametrize("kind", ["certs.d", "place"])
async def test_certificates_of_dockers_directory(
    tmp_path: Path, guarded: RealRegistry, image: Image, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proa.registry.hosts.LOOPBACK", ("203.0.113.0/24",))
    assert guarded.certificate
    assert guarded.client
    name = f"{guarded.address}/team/app"

    def client() -> Registry:
        if kind == "place":
            return Registry(places=[tmp_path], certificates=tmp_path / "none")
        return Registry(certificates=tmp_path)

    with pytest.raises(Unavailable, match="tls: failed to verify certificate"):
        await digest(client(), name)
    directory = tmp_path / guarded.address
    directory.mkdir()
    (directory / "ca.crt").write_bytes((guarded.certificate / "ca.pem").read_bytes())
    with pytest.raises(Unavailable):
        await digest(client(), name)
    (directory / "client.cert").write_bytes((guarded.client / "cert.pem").read_bytes())
    with pytest.raises(InvalidArgument, match=r"^missing key client.key for client certificate client.cert in"):
        await digest(client(), name)
    (directory / "client.key").write_bytes((guarded.client / "key.pem").read_bytes())
    assert await digest(client(), name) == image.digest
    (directory / "client.cert").unlink()
    with pytest.raises(InvalidArgument, match=r"^missing client certificate client.cert for key client.key in "):
        await digest(client(), name)


async def test_changed_certificates_count_at_once(tmp_path: Path, guarded: RealRegistry, image: Image) -> None:
    assert guarded.certificate
    assert guarded.client
    write(tmp_path, "reg.example", f'server = "https://{guarded.address}"\nca = "ca.pem"\nclient = "mine.pem"\n')
    ca, mine = tmp_path / "reg.example/ca.pem", tmp_path / "reg.example/mine.pem"
    mine.write_text("".join((guarded.client / part).read_text() for part in ("cert.pem", "key.pem")))
    ca.write_bytes((guarded.client / "ca.pem").read_bytes())
    client = Registry(places=[tmp_path])
    reference = Reference.parse("reg.example/team/app")
    with pytest.raises(Unavailable):
        await client.repository(reference).resolve(AMD64)
    ca.write_bytes((guarded.certificate / "ca.pem").read_bytes())
    assert (await client.repository(reference).resolve(AMD64)).digest == image.digest
    ca.write_text("no certificate")
    with pytest.raises(InvalidArgument, match=r"cannot use the certificates in .*/reg.example: ca.pem: "):
        await client.repository(reference).resolve(AMD64)
    await client.close()
