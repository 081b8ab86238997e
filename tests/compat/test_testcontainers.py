"""testcontainers-python: a container with a published port, and the reaper that removes it when its test dies.

The reaper's image can not be had here: another program that speaks its protocol stands under its name.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rig import images, standard
from rig.clients import Client
from rig.engine import Engine, eventually
from rig.registry import Registry
from rig.trees import Tree

RYUK = Path(__file__).parent.parent / "rig" / "ryuk.pl"
REAPER = ("testcontainers/ryuk", "0.8.1")  # what testcontainers 4 asks for

SESSION = """
import json, sys
from testcontainers.core.container import DockerContainer
from testcontainers.core.labels import SESSION_ID
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs

network = Network().create()
command = ["sh", "-c", "mkdir /www; echo sold >/www/file; echo open; exec httpd -f -h /www -p 80"]
shop = DockerContainer("busybox").with_command(command).with_exposed_ports(80).with_network(network)
shop.with_network_aliases("shop").with_volume_mapping("goods", "/goods", "rw").start()
wait_for_logs(shop, "open", timeout=30)
box = DockerContainer("busybox").with_command("sleep 1000").with_network(network).start()
said = box.exec(["wget", "-qO-", "http://shop/file"])
host, port = shop.get_container_host_ip(), shop.get_exposed_port(80)
told = {"url": f"http://{host}:{port}/file", "said": said.output.decode(), "session": SESSION_ID}
print(json.dumps(told), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def reaper(registry: Registry, ubuntu_image: Any) -> None:
    """The image of the reaper at the registry of the run."""
    tree = Tree().directory("bin").file("bin/ryuk", RYUK.read_bytes(), 0o755)
    made = images.build([*standard.minbase_layers(), images.layer(tree)], {"Entrypoint": ["perl", "/bin/ryuk"]})
    registry.push(made, *REAPER)


def of_session(engine: Engine, session: str) -> list[Any]:
    wanted = json.dumps({"label": [f"org.testcontainers.session-id={session}"]})
    containers = engine.api.get("/containers/json", all=1, filters=wanted).json
    return [*containers, *engine.api.get("/networks", filters=wanted).json]


def test_a_session(engine: Engine, reaper: None, tmp_path: Path) -> None:
    environment = Client("docker", engine.host, tmp_path / "home").environment
    with subprocess.Popen(
        [sys.executable, "-c", SESSION],
        env={**environment, "RYUK_RECONNECTION_TIMEOUT": "1s"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as session:
        try:
            assert session.stdout
            told = json.loads(session.stdout.readline())
            assert told["said"] == "sold\n"
            with urllib.request.urlopen(told["url"], timeout=10) as answer:
                assert answer.read() == b"sold\n"
            assert len(of_session(engine, told["session"])) == 3
        finally:
            session.kill()
    eventually(lambda: of_session(engine, told["session"]) == [], 30)
    eventually(lambda: engine.api.get("/containers/json", all=1).json == [], 30)  # the reaper itself goes, too
