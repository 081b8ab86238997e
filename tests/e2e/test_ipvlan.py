"""Networks of the driver ipvlan; where the kernel has none, they are refused."""

from __future__ import annotations

import json

import pytest

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from rig.engine import eventually
from rig.own_host import THERE, WIRE, engine_here, host_beside
from rig.ports import SERVE, fetch
from rig.private_network import inside, private_network

BUSYBOX = "busybox"
pytestmark = pytest.mark.cgroup2  # which runs in the virtual machine, too, whose kernel has the module
PARENT = ("-d", "ipvlan", "-o", f"parent={WIRE}")


def has_ipvlan() -> bool:
    with Socket() as route:
        return rtnetlink.has_kind(route, "ipvlan")


@pytest.mark.parametrize(
    ("mode", "addresses", "gateway"),
    [
        ("l2", ("--subnet", "198.18.0.0/24", "--ip-range", "198.18.0.64/26", "--gateway", THERE), THERE),
        ("l3", ("--subnet", "10.99.0.0/24"), ""),
    ],
)
@private_network
def test_ipvlan(mode: str, addresses: tuple[str, ...], gateway: str) -> None:
    with host_beside() as there, engine_here() as engine:
        docker = engine.docker
        create = ("network", "create", *PARENT, "-o", f"ipvlan_mode={mode}", *addresses, "lan")
        if not has_ipvlan():
            docker.fails(*create, match="this kernel has no ipvlan interfaces")
            assert "lan" not in docker.ok("network", "ls", "--format", "{{.Name}}").split()
            return
        docker.ok(*create)
        names = [docker.detached("--network", "lan", BUSYBOX, "sh", "-c", SERVE) for _ in range(2)]
        place = json.loads(docker.inspect(names[0]))["NetworkSettings"]["Networks"]["lan"]
        assert (place["Gateway"], place["MacAddress"]) == (gateway, "")
        # From the wire, to a neighbour, and back to the wire.
        assert eventually(lambda: inside(there, lambda: fetch(place["IPAddress"], 80))) == "served\n"
        assert docker.ok("exec", names[1], "wget", "-qO-", f"http://{names[0][:12]}/file") == "served\n"
        assert "1 packets received" in docker.ok("exec", names[0], "ping", "-c", "1", THERE)
        docker.ok("network", "disconnect", "lan", names[1])
        assert "eth0" not in docker.ok("exec", names[1], "ip", "link")
        docker.ok("rm", "-f", *names)
        docker.ok("network", "rm", "lan")
