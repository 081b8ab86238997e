"""Where the engine is: URLs, environment, contexts, ssh, TLS."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from proa.client.address import DEFAULT_URL, Address, choose
from proa.client.client import Client
from proa.client.errors import CannotConnect
from proa.client.tls import Tls
from proa.errors import InvalidArgument, NotFound
from rig.needs import need
from rig.recorder import Recorder, Reply

ROOT = Path(__file__).parents[3]

URLS = [
    ("unix:///a/b", "unix:///a/b"),
    ("unix://", DEFAULT_URL),
    ("tcp://example.com", "tcp://example.com:2375"),
    ("tcp://1.2.3.4:99", "tcp://1.2.3.4:99"),
    ("example.com:99", "tcp://example.com:99"),
    ("tcp://", "tcp://localhost:2375"),
    ("tcp://[::1]:99", "tcp://::1:99"),
    ("tcp://[::1]", "tcp://::1:2375"),
    ("http://h:1/path", "tcp://h:1"),
    ("ssh://u@h:22", "ssh://u@h:22"),
]


@pytest.mark.parametrize(("text", "url"), URLS)
def test_urls(text: str, url: str) -> None:
    assert Address(text).url == url


@pytest.mark.parametrize("text", ["ftp://x", "fd://", "npipe://x"])
def test_unknown_scheme(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid bind address format: {text}"):
        Address(text)


@pytest.mark.parametrize("text", ["tcp://h:x", "tcp://h:99999"])
def test_wrong_port(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid proto"):
        Address(text)


CHOICES = [
    ("", "", {}, "", DEFAULT_URL),
    ("", "default", {}, "", DEFAULT_URL),
    ("unix:///flag", "", {"PROA_HOST": "unix:///p", "DOCKER_HOST": "unix:///d"}, "", "unix:///flag"),
    ("", "", {"PROA_HOST": "unix:///p", "DOCKER_HOST": "unix:///d"}, "", "unix:///p"),
    ("", "", {"DOCKER_HOST": "unix:///d", "DOCKER_CONTEXT": "mine"}, "", "unix:///d"),
    ("", "", {"DOCKER_CONTEXT": "mine"}, "", "unix:///of-context"),
    ("", "mine", {"DOCKER_HOST": "unix:///d"}, "", "unix:///of-context"),
    ("", "", {}, "mine", "unix:///of-context"),
    ("", "", {}, "default", DEFAULT_URL),
    ("", "", {"PROA_CONTEXT": "default"}, "mine", DEFAULT_URL),
    ("", "default", {"DOCKER_HOST": "unix:///d"}, "mine", "unix:///d"),
    ("", "", {"DOCKER_HOST": "unix:///d"}, "mine", "unix:///d"),
    ("unix:///flag", "", {}, "mine", "unix:///flag"),
]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": "mine", "Endpoints": {"docker": {"Host": "unix:///of-context"}}}))
    return meta


@pytest.mark.parametrize(("host", "name", "environment", "current", "url"), CHOICES)
def test_choice(
    host: str, name: str, environment: dict[str, str], current: str, url: str, context: Path, tmp_path: Path
) -> None:
    chosen = choose(host, name, None, {**environment, "DOCKER_CONFIG": str(tmp_path)}, lambda: current)
    assert chosen.url == url
    assert chosen.default == (url == DEFAULT_URL)


def test_both_host_and_context() -> None:
    with pytest.raises(InvalidArgument, match="cannot specify both --host and --context"):
        choose("unix:///x", "mine", None, {}, str)


def test_unknown_context(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match='context "other": context not found'):
        choose("", "other", None, {"DOCKER_CONFIG": str(tmp_path)}, str)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Endpoints": {}}'])
def test_broken_context(text: str, context: Path, tmp_path: Path) -> None:
    context.write_text(text)
    with pytest.raises(InvalidArgument, match='context "mine": cannot read'):
        choose("", "mine", None, {"DOCKER_CONFIG": str(tmp_path)}, str)


SSH = [
    ("ssh://user@far:2222", "-T -p 2222 -- user@far docker system dial-stdio\n"),
    ("ssh://user@[::1]:2222", "-T -p 2222 -- user@::1 docker system dial-stdio\n"),
    ("ssh://far/run/other.sock", "-T -- far docker --host unix:///run/other.sock system dial-stdio\n"),
]


@pytest.mark.parametrize(("url", "words"), SSH)
def test_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str) -> None:
    """The far side's `docker system dial-stdio` is Proa's own here; `ssh` is a script that runs it."""
    with Recorder(tmp_path / "sock") as engine:
        engine.on("GET /x", Reply(value="through"))
        ssh = tmp_path / "ssh"
        ssh.write_text(
            f'#!/bin/sh\necho "$@" >{tmp_path}/words\nexec {ROOT}/bin/proa -H {engine.url} system dial-stdio\n'
        )
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        client = Client(Address(url))
        try:
            assert client.get("/x") == "through"
            assert client.get("/x") == "through"
        finally:
            client.close()
        assert (tmp_path / "words").read_text() == words


def test_tls(tmp_path: Path) -> None:
    need(shutil.which("openssl"), "openssl")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    import socket

    with socket.create_server(("localhost", 0)) as listener:
        url = f"tcp://localhost:{listener.getsockname()[1]}"

        def serve() -> None:
            for _ in range(2):
                plain, _ = listener.accept()
                try:
                    with context.wrap_socket(plain, server_side=True) as secure:
                        secure.recv(4096)
                        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7")
                except ssl.SSLError:
                    plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        good = Client(Address(url, tls=Tls(str(tmp_path / "cert.pem"), "", "", verify=True)))
        assert good.get("/x") == 7
        good.close()
        with pytest.raises(CannotConnect):
            Address(url, tls=Tls("", "", "", verify=True)).connect()
        thread.join(10)
