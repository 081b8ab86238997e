"""`attach` with logs=1: everything from the beginning and then what comes, nothing twice and nothing missing."""

from __future__ import annotations

import time
from pathlib import Path

import docker as docker_sdk  # type: ignore[import-untyped]
import pytest

from rig.engine import Engine, eventually

# docker-py leaves the socket of a stream to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BUSYBOX = "busybox"
COUNT = 200_000
EXPECTED = b"".join(b"%d\n" % number for number in range(1, COUNT + 1))
# Somebody attaches in the middle of it; long enough to be rotated many times.
SCRIPT = f"seq {COUNT}; exec sleep 1000"


@pytest.mark.parametrize(
    ("options", "tty"),
    [
        ({"max-size": "-1"}, False),
        ({"max-size": "-1"}, True),
        ({"max-size": "500k", "max-file": "99", "compress": "true"}, False),
    ],
    ids=["one file", "terminal", "rotated and compressed"],  # in the mode non-blocking slow clients miss output
)
def test_everything_once(sdk: docker_sdk.DockerClient, options: dict[str, str], tty: bool) -> None:
    container = sdk.containers.run(
        BUSYBOX, ["sh", "-c", SCRIPT], detach=True, tty=tty, log_config={"Type": "json-file", "Config": options}
    )
    seen = b""
    for chunk in container.attach(logs=True, stream=True):
        seen += chunk.replace(b"\r", b"")
        if len(seen) >= len(EXPECTED):
            container.kill()
    if seen != EXPECTED:  # comparing megabytes would take pytest minutes
        place = next(at for at, (one, other) in enumerate(zip(seen, EXPECTED, strict=False)) if one != other)
        pytest.fail(f"{len(seen)} bytes; at {place}: {seen[place - 30 : place + 30]!r}")


def test_a_slow_client_takes_no_memory(engine: Engine, sdk: docker_sdk.DockerClient) -> None:
    """A log of 12 MB waits in the file, not in the shim or the engine."""
    script = "yes 0123456789012345678901234567890123456789 | head -c 12000000; echo end; sleep 1000"
    container = sdk.containers.run(BUSYBOX, ["sh", "-c", script], detach=True)
    eventually(lambda: container.logs(tail=1).endswith(b"end\n"), 30)
    assert engine.process
    processes = [engine.process.pid, *_shims(container.id)]
    before = [_memory(pid) for pid in processes]
    stream = container.attach(logs=True, stream=True)
    next(stream)
    time.sleep(0.5)
    after = [_memory(pid) for pid in processes]
    assert all(late - early < 4 << 20 for early, late in zip(before, after, strict=True))
    container.kill()
    assert sum(map(len, stream)) > 11_500_000


def _shims(identifier: str) -> list[int]:
    """The process that has the container's log open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink().name == f"{identifier}-json.log":
                found.append(int(link.parts[2]))
        except OSError:
            continue  # a process that ended
    return found


def _memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10
