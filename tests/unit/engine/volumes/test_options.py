"""Options of the driver `local`: which mount they mean."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from proa.engine.volumes import options

NFS = {"type": "nfs", "device": ":/export"}


@pytest.mark.parametrize(
    ("given", "bound", "mounted"),
    [
        ({}, "", False),
        ({"size": "10m"}, "", False),
        ({"type": "none", "device": "/a", "o": "bind"}, "/a", False),
        ({"type": "none", "device": "/a", "o": "rw,rbind"}, "/a", False),
        ({"type": "none", "device": "/a", "o": "bind,ro"}, "", True),
        ({"type": "none", "device": "/a", "o": "bind,rshared"}, "", True),
        ({"type": "tmpfs", "device": "tmpfs"}, "", True),
        ({**NFS, "o": "addr=10.0.0.1"}, "", True),
    ],
)
def test_what_is_mounted(given: dict[str, str], bound: str, mounted: bool) -> None:
    options.check(given)
    assert (options.bound_directory(given), options.needs_mount(given)) == (bound, mounted)


@pytest.mark.parametrize(
    ("given", "source", "data"),
    [
        ({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,noexec,uid=7"}, "tmpfs", {"size": "1m", "uid": "7"}),
        ({"type": "ext4", "device": "/dev/x", "o": "ro,noatime"}, "/dev/x", {"ro": None}),
        (
            {**NFS, "o": "addr=10.0.0.1,nolock,vers=4"},
            ":/export",
            {"addr": "10.0.0.1", "nolock": None, "vers": "4"},
        ),
        ({**NFS, "o": "addr=server.test,rw"}, ":/export", {"addr": "192.0.2.7"}),
        ({**NFS, "o": "addr=fd00::1"}, ":/export", {"addr": "fd00::1"}),
        ({**NFS, "type": "nfs4", "o": "addr=server.test"}, ":/export", {"addr": "192.0.2.7"}),
        ({"type": "tmpfs", "device": "x", "o": "addr=server.test"}, "x", {"addr": "server.test"}),
        ({"type": "cifs", "device": "//server.test/a/b", "o": "guest"}, "//192.0.2.7/a/b", {"guest": None}),
        (
            {"type": "cifs", "device": "//server.test/a", "o": "addr=10.0.0.1"},
            "//server.test/a",
            {"addr": "10.0.0.1"},
        ),
    ],
)
def test_what_the_kernel_is_told(
    given: dict[str, str], source: str, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of servers become addresses, as the kernel knows no others."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("192.0.2.7", 0))])
    entry, parsed = options.mount_entry(given)
    assert (entry["type"], entry["source"], parsed.data) == (given["type"], source, data)


def test_secrets_are_hidden() -> None:
    given = {"type": "cifs", "device": "//a/b", "o": "username=u,password=p,x=1,pass=q"}
    assert options.described(given, "/place") == (
        "mount //a/b:/place, type: cifs, data: username=u,password=********,x=1,pass=********"
    )
