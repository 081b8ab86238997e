"""Where images come from, as the administrator wants it: hosts.toml, registries.conf, proxies."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.certificates import Authority
from rig.engine import Engine
from rig.forward_proxy import ForwardProxy
from rig.registry import Registry


@contextmanager
def engine(*arguments: str) -> Iterator[Engine]:
    started = Engine("", arguments)
    try:
        yield started.start()
    finally:
        started.stop()


def pulled(engine: Engine, name: str) -> bool:
    return f"Status: Downloaded newer image for {name}\n" in engine.docker.ok("pull", name)


def test_hosts_toml_with_certificates(tmp_path: Path, registry: Registry) -> None:
    """A mirror for reading, and a registry that wants a client's certificate, for pushing."""
    authority = Authority(tmp_path / "authority")
    server, client = authority.issue("registry", "server"), authority.issue("client", "client")
    own = Registry(tmp_path / "registry", certificate=server, client=client).start()
    places = tmp_path / "places"
    (places / "reg.example").mkdir(parents=True)
    (places / "reg.example/hosts.toml").write_text(f"""
        server = "https://{own.address}"
        ca = "{authority.certificate}"
        client = [["{client}/cert.pem", "{client}/key.pem"]]
        [host."{registry.url}"]
        capabilities = ["pull", "resolve"]
    """)
    try:
        with engine("--registry-config-dir", str(places)) as started:
            assert pulled(started, "reg.example/library/busybox:1.36")
            started.docker.ok("tag", "reg.example/library/busybox:1.36", "reg.example/own/box:2")
            started.docker.ok("push", "reg.example/own/box:2")
            assert own.manifest("own/box", "2")["config"]
            started.docker.ok("rmi", "reg.example/own/box:2")
            assert pulled(started, "reg.example/own/box:2")  # the mirror has no such thing
            (places / "reg.example/hosts.toml").write_text('[host."https://x"]\nskip_verfy = true')
            started.docker.fails(
                "pull", "reg.example/own/box:2", code=1,
                match=rf'{places}/reg.example/hosts.toml: host."https://x".skip_verfy: unknown key; known are',
            )  # fmt: skip
    finally:
        own.stop()


def test_registries_conf(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "registries.conf"
    path.write_text(f"""
        unqualified-search-registries = ["quay.example"]
        [[registry]]
        prefix = "docker.io"
        location = "{registry.address}"
        [[registry]]
        location = "bad.example"
        blocked = true
    """)
    with engine("--registry-config-dir", str(tmp_path)) as started:
        assert f"{path}: unqualified-search-registries has no meaning for Proa" in started.said()
        assert pulled(started, "busybox:1.36")
        started.docker.fails("pull", "bad.example/x", code=1, match=f'registry "bad.example" is blocked in {path}')
        assert started.api.get("/distribution/bad.example/x/json").status == 403


@pytest.mark.parametrize("given", ["flag", "file"])
def test_proxies(tmp_path: Path, registry: Registry, given: str) -> None:
    with ForwardProxy(registry.address) as proxy:
        url = f"http://me:secret@{proxy.address}"
        arguments = ["--http-proxy", url, "--no-proxy", "10.0.0.0/8"]
        if given == "file":
            config = tmp_path / "daemon.json"
            config.write_text(json.dumps({"proxies": {"http-proxy": url, "no-proxy": "10.0.0.0/8"}}))
            arguments = ["--config-file", str(config)]
        with engine("--insecure-registry", "reg.example", *arguments) as started:
            assert pulled(started, "reg.example/library/busybox:1.36")
            info = started.api.get("/info").json
            assert info["HttpProxy"] == f"http://xxxxx:xxxxx@{proxy.address}"
            assert info["NoProxy"] == "10.0.0.0/8"
    assert proxy.asked
    assert all(" http://reg.example/" in line for line in proxy.asked)


BAD = {
    '{"proxies": 1}': "proxies is no dict: 1",
    '{"proxies": {"http": "x"}}': "proxies: http is none of http-proxy, https-proxy, no-proxy",
    '{"proxies": {"no-proxy": 1}}': "proxies: no-proxy is no string",
    '{"proxies": {"http-proxy": "ftp://x"}}': "invalid HTTP proxy: scheme 'ftp' is not supported",
    '{"http-proxy": "x"}': "don't match any configuration option: http-proxy",
    '{"registry-config-dirs": 1}': "Expected `array`",
}


@pytest.mark.parametrize("document", BAD)
def test_bad_configuration(tmp_path: Path, document: str) -> None:
    config = tmp_path / "daemon.json"
    config.write_text(document)
    command = [*Engine("", ["--config-file", str(config)], tmp_path).command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert BAD[document] in done.stderr
