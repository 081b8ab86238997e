"""An engine that is killed leaves bridge and table, nothing else; the next one takes them over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.linux.nftables import Nftables
from proa.network import forwarding
from proa.network.default_bridge import DefaultBridge
from rig.private_network import private_network, wait_until

ENGINE = """
import sys
from pathlib import Path
from proa.network.default_bridge import DefaultBridge
bridge = DefaultBridge(name="proa0", table="proa", state_file=Path(sys.argv[1]))
print("begin", flush=True)
bridge.setup()
while True:
    bridge.release(bridge.acquire())
    bridge.release(bridge.request("02:00:00:00:00:01").result())
"""


def links() -> set[str]:
    with Socket() as route:
        return {link.name for link in rtnetlink.links(route)}


@pytest.mark.parametrize("after", [0.0, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.2])
@private_network
def test_killed_at_any_moment(make_bridge: Callable[..., DefaultBridge], tmp_path: Path, after: float) -> None:
    engine = subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(tmp_path / "proa0.json")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert engine.stdout is not None
    with engine.stdout:
        assert engine.stdout.readline() == b"begin\n"
        time.sleep(after)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    wait_until(lambda: links() <= {"lo", "proa0"})
    bridge = make_bridge()
    bridge.setup()
    wait_until(lambda: bridge.ready == 12)
    assert bridge.acquire().address == "172.17.0.2"
    for endpoint in bridge.given:  # type: ignore[attr-defined]
        bridge.release(endpoint)
    bridge.teardown()
    with Nftables() as nftables:
        assert (links(), nftables.tables(), forwarding.is_enabled()) == ({"lo"}, [], False)
