"""What the daemon's options for hosts and TLS come to, and what is said about open ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proa.api import hosts
from proa.api.hosts import Listening, open_hosts
from proa.api.listeners import tcp_address
from proa.errors import InvalidArgument, Unavailable
from rig.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.issue("server", "server")
    return made


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)


def opened(options: dict[str, Any], default: str = "unix:///nowhere") -> Listening:
    listening = open_hosts(options, default)
    for each in listening.sockets:
        each.close()
    return listening


ADDRESSES = [
    ("tcp://", False, ("localhost", 2375)),
    ("tcp://", True, ("localhost", 2376)),
    ("tcp://:99", True, ("localhost", 99)),
    ("tcp://1.2.3.4", False, ("1.2.3.4", 2375)),
    ("tcp://[::1]", True, ("::1", 2376)),
    ("tcp://[::1]:5", True, ("::1", 5)),
]


@pytest.mark.parametrize(("host", "tls", "address"), ADDRESSES)
def test_ports(host: str, tls: bool, address: tuple[str, int]) -> None:
    assert tcp_address(host, tls=tls) == address


def certified(authority: Authority) -> dict[str, Any]:
    server = authority.directory / "server"
    return {"tlscert": f"{server}/cert.pem", "tlskey": f"{server}/key.pem", "tlscacert": f"{server}/ca.pem"}


def test_open_tcp_is_warned_of() -> None:
    listening = opened({"hosts": ["tcp://127.0.0.1:0"]})
    assert listening.tls is None
    assert "Binding to IP address without --tlsverify is insecure" in listening.warnings[0]
    assert len(listening.warnings) == 5
    assert listening.notices[0].startswith(
        "[DEPRECATION NOTICE]: API is accessible on http://127.0.0.1:0 without encryption.\n         Access to"
    )
    assert len(opened({"hosts": ["tcp://127.0.0.1:0"], "tls": False}).warnings) == 3


def test_encryption_alone_is_warned_of_verification_is_not(authority: Authority) -> None:
    options = {"hosts": ["tcp://127.0.0.1:0"], **certified(authority)}
    listening = opened({**options, "tls": True})
    assert listening.tls is not None and len(listening.warnings) == 3
    assert "https://127.0.0.1:0 without TLS client verification" in listening.notices[0]
    listening = opened({**options, "tlsverify": True})
    assert listening.tls is not None and not listening.warnings and not listening.notices
    assert opened({**options, "tlsverify": False}).tls is not None  # to name it at all asks for TLS


def test_the_local_socket_is_not_warned_of(tmp_path: Path) -> None:
    listening = opened({}, f"unix://{tmp_path}/s")
    assert (listening.hosts, listening.warnings, listening.notices) == ([f"unix://{tmp_path}/s"], [], [])


def test_with_tls_the_default_is_tcp(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "DEFAULT_TLS_HOST", "tcp://localhost:0")
    assert opened({"tlsverify": True, **certified(authority)}).hosts == ["tcp://localhost:0"]


def test_files_in_the_usual_place(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", f"{authority.directory}/server")
    assert opened({"hosts": ["tcp://127.0.0.1:0"], "tlsverify": True}).tls is not None


def broken(name: str, text: str) -> Callable[[Path, dict[str, Any]], None]:
    def apply(directory: Path, options: dict[str, Any]) -> None:
        (directory / "broken.pem").write_text(text)
        options[name] = f"{directory}/broken.pem"

    return apply


def missing(name: str) -> Callable[[Path, dict[str, Any]], None]:
    return lambda directory, options: options.update({name: f"{directory}/missing.pem"})


UNUSABLE = [
    (lambda _, options: options.clear(), r'Could not load X509 key pair \(cert: "", key: ""\): no such file'),
    (missing("tlscert"), r'Could not load X509 key pair .*missing.pem", key.*no such file or directory'),
    (missing("tlskey"), r"Could not load X509 key pair .*no such file or directory"),
    (missing("tlscacert"), r'could not read CA certificate ".*missing.pem": no such file or directory'),
    (broken("tlscert", "no PEM"), r"Could not load X509 key pair"),
    (broken("tlscacert", ""), r"could not read CA certificate"),
]


@pytest.mark.parametrize(("spoil", "text"), UNUSABLE)
def test_files_that_cannot_be_used(
    authority: Authority, tmp_path: Path, spoil: Callable[[Path, dict[str, Any]], None], text: str
) -> None:
    options = certified(authority)
    spoil(tmp_path, options)
    with pytest.raises(InvalidArgument, match=f"invalid TLS configuration: {text}"):
        opened({"hosts": ["tcp://127.0.0.1:0"], "tlsverify": True, **options})


def test_no_socket_stays_open_when_another_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_hosts({"hosts": [f"unix://{tmp_path}/a", f"unix://{tmp_path}/{'x' * 200}"]}, "")
