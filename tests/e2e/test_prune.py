"""`prune` and `system df` against the real engine: what goes, what stays, and that the sums tell of it."""

from __future__ import annotations

import json

from rig.clients import Client


def test_container_prune(client: Client) -> None:
    running = client.detached("busybox", "sleep", "1000")
    ended = client.detached("busybox", "true")
    kept = client.detached("--label", "keep=yes", "busybox", "true")
    client.ok("wait", ended, kept)
    assert client("container", "prune", stdin="n\n").out.endswith("[y/N] ")
    out = client.ok("container", "prune", "--filter", "label!=keep", stdin="y\n")
    assert f"Deleted Containers:\n{ended}\n\nTotal reclaimed space: " in out
    assert set(client.ok("ps", "-aq", "--no-trunc").split()) == {running, kept}
    assert client.ok("container", "prune", "--force", "--filter", "until=1h") == "Total reclaimed space: 0B\n"


def test_volume_prune(client: Client) -> None:
    client.ok("volume", "create", "named")
    anonymous = client.ok("volume", "create").strip()
    used = client.ok("volume", "create").strip()
    client.ok("create", "-v", f"{used}:/v", "busybox")
    assert client.ok("volume", "prune", "-f").splitlines()[:2] == ["Deleted Volumes:", anonymous]
    assert client.ok("volume", "prune", "-f", "--all").splitlines()[:2] == ["Deleted Volumes:", "named"]
    assert client.ok("volume", "ls", "-q").split() == [used]


def test_system(client: Client) -> None:
    running = client.detached("-v", "/data", "busybox", "sh", "-c", "echo x >/data/x; sleep 1000")
    ended = client.ok("create", "busybox").strip()
    rows = [json.loads(line) for line in client.ok("system", "df", "--format", "json").splitlines()]
    images = str(len(set(client.ok("images", "-q").split())))  # what other tests have left among them
    assert {row["Type"]: (row["TotalCount"], row["Active"]) for row in rows} == {
        "Images": (images, "1"), "Containers": ("2", "1"), "Local Volumes": ("1", "1"), "Build Cache": ("0", "0"),
    }  # fmt: skip
    shown = client.ok("system", "df", "-v")
    assert running[:12] in shown
    client.fails("system", "prune", "-f", "--volumes", "--filter", "until=1h", code=1, match="not supported")
    out = client.ok("system", "prune", "--volumes", "--force")
    assert out.startswith(f"Deleted Containers:\n{ended}\n\n")
    assert "Total reclaimed space: " in out
    assert client.ok("ps", "-aq", "--no-trunc").split() == [running]
    assert len(client.ok("volume", "ls", "-q").split()) == 1
    assert "busybox" in client.ok("images")
