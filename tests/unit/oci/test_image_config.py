"""Image configurations: typed access, unchanged bytes, chain identifiers."""

from __future__ import annotations

import json

import pytest

from proa.oci import digest as digests
from proa.oci.image_config import ImageConfig, chain_ids
from proa.oci.platform import Platform

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
DOCUMENT = {
    "architecture": "arm64",
    "variant": "v8",
    "os": "linux",
    "created": "2026-01-02T03:04:05.678Z",
    "author": "someone",
    "moby.buildkit.something": {"kept": [1, None]},
    "config": {
        "User": "1000:1000",
        "Env": ["PATH=/bin", "A=b=c"],
        "Entrypoint": ["/init"],
        "Cmd": None,
        "WorkingDir": "/srv",
        "Volumes": {"/data": {}},
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"a": "b"},
        "StopSignal": "SIGINT",
        "Shell": ["/bin/ash", "-c"],
        "OnBuild": ["RUN x"],
        "Healthcheck": {"Test": ["CMD", "true"]},
    },
    "rootfs": {"type": "layers", "diff_ids": [A, B]},
    "history": [{"created_by": "x"}],
}


def test_everything_docker_knows_can_be_read() -> None:
    config = ImageConfig.parse(json.dumps(DOCUMENT).encode())
    assert config.platform == Platform("linux", "arm64")
    assert config.created.startswith("2026-01-02")
    assert (config.user, config.working_dir, config.stop_signal) == ("1000:1000", "/srv", "SIGINT")
    assert (config.env, config.entrypoint, config.cmd) == (["PATH=/bin", "A=b=c"], ["/init"], [])
    assert (config.volumes, config.exposed_ports, config.labels) == (["/data"], ["80/tcp"], {"a": "b"})
    assert (config.shell, config.on_build) == (["/bin/ash", "-c"], ["RUN x"])
    assert config.healthcheck == {"Test": ["CMD", "true"]}
    assert (config.diff_ids, config.history, config.author) == ([A, B], [{"created_by": "x"}], "someone")


def test_bytes_and_with_them_the_identifier_never_change() -> None:
    raw = json.dumps(DOCUMENT, indent=5).encode()
    config = ImageConfig.parse(raw)
    assert config.to_bytes() == raw
    assert config.digest == digests.of(raw)


def test_replaced_keeps_unknown_fields() -> None:
    config = ImageConfig.parse(json.dumps(DOCUMENT).encode()).replaced(author="else")
    assert ImageConfig.parse(config.to_bytes()).document == {**DOCUMENT, "author": "else"}


@pytest.mark.parametrize("rest", [b',"diff_ids":null', b',"diff_ids":[]', b""])
def test_an_empty_image_is_allowed(rest: bytes) -> None:
    config = ImageConfig.parse(b'{"rootfs":{"type":"layers"' + rest + b"}}")
    assert (config.diff_ids, config.config, config.platform.os) == ([], {}, "linux")


def test_chain_ids_hash_the_stack() -> None:
    assert chain_ids([]) == []
    first, second, third = chain_ids([A, B, C])
    assert first == A
    assert second == digests.of(f"{A} {B}".encode())
    assert third == digests.of(f"{second} {C}".encode())
